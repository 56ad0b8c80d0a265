"""A device for tests: the link's other side, written from the specification and from nothing else.

It shares with the host the numbers of `schemas` and the integer model, and no code of
`services/hwbridge/cwt_hwbridge/protocol`: its framing, its numbering and its refusals are its own.
"""
