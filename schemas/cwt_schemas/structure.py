"""What the structure of a body costs, counted before any of it is built.

A parser makes an object of every list, map and text in a body: a few bytes each in the message, up
to a hundred in memory, and a validator reports each wrong one. So the containers and texts of a
body are counted first, in its bytes; numbers are not limited here, because the size of the body
bounds them well enough. The keys of each map, and levels of nesting, of which parsers refuse more
than 1024 themselves, are counted in what they built (`check_tree`).

========  ==========================================================================
encoding  how it is counted
========  ==========================================================================
JSON      occurrences of ``{``, ``[`` and ``"``; those inside of texts count as well
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
    """What a body consists of, besides numbers."""

    maps: int
    lists: int
    #: Keys, texts and byte strings.
    texts: int
    #: Elements that the heads of its lists and maps announce; 0 in JSON, which has no heads.
    items: int = 0

    def check(self, size: int) -> None:
        """Raise unless a body of `size` bytes can be a message that consists of so much.

        Raises
        ------
        PayloadTooLarge
            The detail has the count that is too large, and its limit.
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
    message = f"the body has more than {limit} {what}: send less at once"
    return PayloadTooLarge(message, {"limit": limit, "count": count})


#: Bytes that are compared at a time: they and the result stay in the processor's cache.
_JSON_BLOCK_BYTES: Final = 64 * 1024


def structure_of_json(data: bytes) -> Structure:
    """Return what a body in JSON has at most."""
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
#: What the first byte of a token says: kind, number in the byte itself, bytes of the number after.
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
    """Return what a body in msgpack has, counted up to the first limit that it exceeds.

    Raises
    ------
    BadRequest
        It has an extension, or a byte that begins nothing.
    """
    maps = lists = texts = items = 0
    end, at = len(data), 0
    heads, max_items = _HEADS, _limits(end)["items"]
    while at < end:
        head = heads[data[at]]
        if head is None:
            begin, at = at, _end_of_scalars(data, at)
            if at == begin:
                raise BadRequest("the body can't be read as application/msgpack")
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
    """Return where the next of `_SCALARS` end, of which there may be none."""
    found = _SCALARS.match(data, at, at + _BLOCK_BYTES)
    return at if found is None else found.end()


def check_tree(tree: Mapping[str, object]) -> None:
    """Raise unless lists and maps are nested at most `MAX_DEPTH` deep, with `MAX_MAP_KEYS` each.

    Raises
    ------
    PayloadTooLarge
        They are not.
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
