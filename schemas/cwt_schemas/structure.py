"""Limits on the structure of a body, checked before it is parsed.

A parser creates an object for every list, map and string in a body: a few bytes each in the
message, up to a hundred in memory, and a validator reports each invalid one. Therefore the
containers and strings are counted in the bytes of the body first. Numbers are not limited here,
because the size of the body bounds them. The keys of each map and the levels of nesting, of which
parsers refuse more than 1024 themselves, are counted in the parsed tree (`check_tree`).

========  ==========================================================================
encoding  method
========  ==========================================================================
JSON      occurrences of ``{``, ``[`` and ``"``, including those inside strings
msgpack   token by token; a run of numbers is one match of an expression, in C
========  ==========================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np

from cwt_schemas.errors import BadRequest, PayloadTooLarge
from cwt_schemas.limits import (
    MAX_BODY_ITEMS,
    MAX_BODY_LISTS,
    MAX_BODY_MAPS,
    MAX_BODY_TEXTS,
    MAX_DEPTH,
    MAX_MAP_KEYS,
)

__all__ = ["Structure", "check_tree", "structure_of_json", "structure_of_msgpack"]


@dataclass(frozen=True, kw_only=True)
class Structure:
    """Counts of the maps, lists and strings of a body."""

    maps: int
    lists: int
    #: Keys, strings and byte strings.
    texts: int
    #: Elements according to the headers of lists and maps; 0 in JSON, which has no headers.
    items: int = 0

    def check(self, size: int) -> None:
        """Raise if the structure is above a limit for a body of `size` bytes.

        Raises
        ------
        PayloadTooLarge
            The detail has the count and the limit.
        """
        for what, limit in _limits(size).items():
            count = getattr(self, what)
            if count > limit:
                raise _too_many(what, limit, count)


def _limits(size: int) -> dict[str, int]:
    # The tasks of a job are larger than a message; a number of double precision has nine bytes.
    items = max(MAX_BODY_ITEMS, size // 8)
    return {
        "maps": MAX_BODY_MAPS,
        "lists": MAX_BODY_LISTS,
        "texts": MAX_BODY_TEXTS,
        "items": items,
    }


def _too_many(what: str, limit: int, count: int) -> PayloadTooLarge:
    message = f"cannot read the body: more than {limit} {what}; send smaller messages"
    return PayloadTooLarge(message, {"limit": limit, "count": count})


#: Bytes that are compared at a time: they and the result stay in the processor's cache.
_JSON_BLOCK_BYTES: Final = 64 * 1024


def structure_of_json(data: bytes) -> Structure:
    """Return an upper bound of the structure of a JSON body."""
    maps = lists = quotes = 0
    for begin in range(0, len(data), _JSON_BLOCK_BYTES):
        # Several times as fast as `bytes.count`.
        block = np.frombuffer(data, np.uint8, min(_JSON_BLOCK_BYTES, len(data) - begin), begin)
        maps += int(np.count_nonzero(block == ord("{")))
        lists += int(np.count_nonzero(block == ord("[")))
        quotes += int(np.count_nonzero(block == ord('"')))
    return Structure(maps=maps, lists=lists, texts=(quotes + 1) // 2)


#: Numbers, booleans and nil.
_SCALARS: Final = re.compile(
    rb"(?:"
    rb"[\x00-\x7f\xe0-\xff\xc0\xc2\xc3]"
    rb"|[\xcc\xd0]."
    rb"|[\xcd\xd1].."
    rb"|[\xce\xd2\xca].{4}"
    rb"|[\xcf\xd3\xcb].{8}"
    rb")*+",
    re.DOTALL,
)
#: Bytes that are matched at a time: a match holds the interpreter's lock throughout.
_BLOCK_BYTES: Final = 512 * 1024
_TEXT, _LIST, _MAP = range(3)
#: Meaning of the first byte of a token: kind, number in the byte itself, bytes of the number after.
_BY_FIRST: Final = {
    **{0x80 + n: (_MAP, n, 0) for n in range(16)},
    **{0x90 + n: (_LIST, n, 0) for n in range(16)},
    **{0xA0 + n: (_TEXT, n, 0) for n in range(32)},
    **{0xC4 + n: (_TEXT, 0, 1 << n) for n in range(3)},
    **{0xD9 + n: (_TEXT, 0, 1 << n) for n in range(3)},
    **{0xDC + n: (_LIST, 0, 2 << n) for n in range(2)},
    **{0xDE + n: (_MAP, 0, 2 << n) for n in range(2)},
}
_HEADS: Final = [_BY_FIRST.get(first) for first in range(256)]


def structure_of_msgpack(data: bytes) -> Structure:
    """Return the structure of a msgpack body, counted up to the first limit that it exceeds.

    Raises
    ------
    BadRequest
        The body has an extension, or a byte that begins no token.
    """
    maps = lists = texts = items = 0
    end, at = len(data), 0
    heads, max_items = _HEADS, _limits(end)["items"]
    while at < end:
        head = heads[data[at]]
        if head is None:
            begin, at = at, _end_of_scalars(data, at)
            if at == begin:
                raise BadRequest("cannot read the body as application/msgpack")
            continue
        kind, number, width = head
        at += 1
        if width:
            number = int.from_bytes(data[at : at + width], "big")
            at += width
        if kind == _TEXT:
            texts += 1
            at += number
            if texts > MAX_BODY_TEXTS:
                break
            continue
        items += number
        if kind == _LIST:
            lists += 1
        else:
            maps += 1
        if items > max_items or maps > MAX_BODY_MAPS or lists > MAX_BODY_LISTS:
            break
    return Structure(maps=maps, lists=lists, texts=texts, items=items)


def _end_of_scalars(data: bytes, at: int) -> int:
    """Return the end of the `_SCALARS` at `at`; `at` if there are none."""
    found = _SCALARS.match(data, at, at + _BLOCK_BYTES)
    return at if found is None else found.end()


def check_tree(tree: Mapping[str, object]) -> None:
    """Check the depth of a tree (`MAX_DEPTH`) and the keys of its maps (`MAX_MAP_KEYS`).

    Raises
    ------
    PayloadTooLarge
        One of them is above its limit.
    """
    maps: list[Mapping[str, object]] = [tree]
    lists: list[list[object]] = []
    for _ in range(MAX_DEPTH):
        keys = max(map(len, maps), default=0)
        if keys > MAX_MAP_KEYS:
            raise _too_many("keys in one object", MAX_MAP_KEYS, keys)
        elements = [*lists, *(each.values() for each in maps)]
        # One pass in C: most lists are of numbers.
        if _CONTAINERS.isdisjoint(map(type, chain.from_iterable(elements))):
            return
        inner = [each for each in chain.from_iterable(elements) if type(each) in _CONTAINERS]
        maps = [each for each in inner if isinstance(each, dict)]
        lists = [each for each in inner if isinstance(each, list)]
    raise _too_many("levels of nesting", MAX_DEPTH, MAX_DEPTH + 1)


_CONTAINERS: Final = frozenset({dict, list})
