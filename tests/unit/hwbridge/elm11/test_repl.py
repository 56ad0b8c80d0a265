from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwt_hwbridge.elm11.repl import HEARD, Phase, Repl, checksum
from cwt_hwbridge.elm11.terminal import MAX_LINE, TerminalText

NONCE = "4e1f"


def asked() -> Repl:
    repl = Repl()
    repl.interrupt()
    repl.receive(b"$ ")
    repl.ask(NONCE, f'_R("{NONCE}",x)')
    return repl


def reply(payload: str, nonce: str = NONCE) -> bytes:
    return f"={nonce} {checksum(nonce + payload)} {payload}\r\n".encode()


def echo() -> bytes:
    return f'_R("{NONCE}",x)\r\n'.encode()


@given(st.binary(max_size=300), st.data())
def test_lines_are_the_same_however_the_bytes_are_cut(data: bytes, draw: st.DataObject) -> None:
    cut = draw.draw(st.integers(0, len(data)))
    whole, pieces = TerminalText(), TerminalText()
    lines = [whole.take(byte) for byte in data]
    assert [pieces.take(byte) for part in (data[:cut], data[cut:]) for byte in part] == lines
    assert pieces.tail == whole.tail


def test_escape_sequences_are_removed() -> None:
    text = TerminalText()
    for byte in b"\x1b[2J\x1b[1;32mfree\x1b[0m: \x1b[31m12\x1bM\x1b\x1b[mx":
        text.take(byte)
    assert text.tail == "free: 12x"


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    text = TerminalText()
    for _ in range(10 * MAX_LINE):
        text.take(ord("x"))
    assert len(text.tail) == MAX_LINE


@pytest.mark.parametrize("prompt", ["$ ", "[ #1 ] $ ", "\x1b[32m$ \x1b[0m"])
def test_a_reply_with_its_nonce_is_given_out_at_the_prompt(prompt: str) -> None:
    repl = asked()
    repl.receive(echo() + reply("ok 17"))
    assert repl.phase is Phase.ASKED
    repl.receive(prompt.encode())
    assert (repl.phase, repl.reply) == (Phase.READY, "ok 17")


@pytest.mark.parametrize(
    "line",
    [
        reply("ok 17", nonce="0000"),
        reply("ok 17").replace(b"17", b"71"),
        reply("ok 17")[:-4] + b"\r\n",
        b"stdin:1: attempt to call a nil value (global '_R')\r\n",
        b"",
    ],
    ids=["nonce", "changed", "truncated", "error", "nothing"],
)
def test_anything_but_the_whole_reply_is_none(line: bytes) -> None:
    repl = asked()
    repl.receive(echo() + line + b"$ ")
    assert (repl.phase, repl.reply) == (Phase.READY, None)


def test_echo_is_not_a_reply() -> None:
    repl = asked()
    payload = "lua"
    line = f'print("=".."{NONCE} {checksum(NONCE + payload)} {payload}")'
    repl.receive(f"{line}\r\n$ ".encode())
    assert repl.reply is None


@pytest.mark.parametrize(
    ("prompt", "sent"), [(b"$$ ", b"]]!\r"), (b"/ ", b"exit\r"), (b"[ #2 ] $$ ", b"]]!\r")]
)
def test_output_before_prompt_is_skipped(prompt: bytes, sent: bytes) -> None:
    repl = Repl()
    assert repl.interrupt() == b"q\r"
    repl.receive(b"\r\n" + prompt)
    assert (repl.phase, repl.to_send(), repl.to_send()) == (Phase.CALLING, sent, b"")
    repl.receive(b"\r\n$ ")
    assert repl.phase is Phase.READY


def test_host_sends_only_after_prompt() -> None:
    repl = Repl()
    with pytest.raises(RuntimeError):
        repl.ask(NONCE, "x")


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"$ ", b"$$ ", b"/ ", b"\n"]))))
def test_no_garbage_is_a_reply_or_an_error(pieces: list[bytes]) -> None:
    repl = asked()
    for piece in pieces:
        repl.receive(piece)
        repl.to_send()
    assert repl.reply is None
    assert len(repl.heard) <= HEARD + 1
