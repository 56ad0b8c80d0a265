"""A semantics twin of the ELM11: the same Lua, the same prompt, no timing, no silicon.

It is not an emulator. The program that the bridge uploads runs in a real Lua 5.4 within a heap of
1 MiB, behind a prompt that behaves as the maker describes it. Nothing is known from it about speed,
and its integers have 64 bits, where those of the board have 32.
"""
