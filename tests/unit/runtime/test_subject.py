"""Subject matching of the bus inside one process."""

from __future__ import annotations

import pytest

from tests.memory_bus.subject import matches


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.b.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        (">", "a.b", True),
        ("*.b", "a.b", True),
        ("a.*.c", "a.b.d", False),
    ],
)
def test_wildcards_stand_for_what_nats_says(pattern: str, subject: str, expected: bool) -> None:
    assert matches(pattern, subject) is expected
