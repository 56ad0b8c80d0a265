"""The examples that are marked ``python run`` do what the page says they do."""

from __future__ import annotations

import contextlib
import io
import json
import re
from typing import Any

import pytest

from cwt_ingest.lanes import plan_lanes
from cwt_schemas.chunk_codec import decode_raw_chunk
from cwt_schemas.codec import ContentType, decode
from cwt_schemas.live import SignalChunk
from cwt_schemas.stream import StreamDefinition
from tests.unit.docs.conftest import PAGES, ROOT

RUN = re.compile(r"```python run\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
EXAMPLES = [
    pytest.param(code, said, id=f"{page}-{number}")
    for page, text in PAGES.items()
    for number, (code, said) in enumerate(RUN.findall(text), 1)
]


def test_there_are_examples_and_each_has_its_output() -> None:
    marked = sum(len(re.findall("^```python run$", text, re.MULTILINE)) for text in PAGES.values())
    assert marked == len(EXAMPLES) >= 5


@pytest.mark.slow
@pytest.mark.parametrize(("code", "said"), EXAMPLES)
def test_an_example_prints_what_the_page_says(code: str, said: str) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "example", "exec"), {"__name__": "__main__"})
    assert printed.getvalue() == said


def test_the_raw_chunk_is_right_byte_by_byte() -> None:
    text = PAGES["docs/messages.md"]
    block = next(
        block for block in re.findall(r"```text\n(.*?)```", text, re.DOTALL) if "HPUB" in block
    )
    control, _, rest = block.partition("\n")
    head, _, body = rest.partition("\n\n")
    wire_head = (head.replace("\n", "\r\n") + "\r\n\r\n").encode()
    wire_body = bytes.fromhex(body)
    assert control.split()[-2:] == [str(len(wire_head)), str(len(wire_head) + len(wire_body))]
    headers = dict(line.split(": ") for line in head.splitlines()[1:])
    chunk = decode_raw_chunk(headers, wire_body, channels=1)
    assert chunk.samples.tolist() == [16, -10, 42]
    assert (chunk.epoch, chunk.first_sample) == ("boot-1", 0)


def json_of(page: str, having: str) -> Any:
    blocks = re.findall(r"```json\n(.*?)```", PAGES[page], re.DOTALL)
    return json.loads(next(block for block in blocks if having in block))


def test_the_chunk_and_the_definition_in_json_are_taken() -> None:
    chunk = json_of("docs/messages.md", "signal.chunk/1")
    assert decode(SignalChunk, json.dumps(chunk).encode(), ContentType.JSON).n_samples == 3
    definition = json_of("docs/messages.md", '"analyses"')
    assert plan_lanes(decode(StreamDefinition, json.dumps(definition).encode(), ContentType.JSON))


def test_every_excerpt_of_an_example_is_in_its_file() -> None:
    excerpt = re.compile(r"^```\w+ from (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    excerpts = [each for text in PAGES.values() for each in excerpt.findall(text)]
    assert excerpts
    for file, code in excerpts:
        assert code in (ROOT / file).read_text(), file
