from __future__ import annotations

import pytest

from cwt_hwbridge.elm11.program import (
    MAX_SENT,
    asked,
    bootstrap,
    hello_line,
    program,
    said,
)

NONCE = "4e1f"


def test_every_line_is_short_enough_for_the_prompt() -> None:
    pieces = [said(NONCE, text, "_K(_P[99])") for text, _ in program().lines()]
    first = [f"{text} {hello_line(NONCE)}" for text in bootstrap()]
    assert max(map(len, pieces + first)) <= MAX_SENT


def test_pieces_join_to_program() -> None:
    assert "".join(program().pieces) == program().text
    assert program().text.startswith(f'cwtm_build="{program().build}"\n')


def test_comments_are_not_sent() -> None:
    assert not [line for line in program().text.splitlines() if line.startswith(("--", " "))]


def test_a_request_is_sent_with_its_checksum() -> None:
    # The CRC-32 of "123456789" is in every table of CRCs.
    assert asked("1234", "56789") == '_Q("1234","cbf43926","56789")'


@pytest.mark.parametrize("line", program().text.splitlines())
def test_a_library_function_is_never_called_as_a_method(line: str) -> None:
    assert ":" not in line.replace('":"', "")
