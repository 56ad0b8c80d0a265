"""A simulated ELM11 with the same Lua language and prompt, but not the same timing.

It is not an emulator. The program that the bridge uploads runs in a real Lua 5.4 with a heap of
1 MiB, behind a prompt that behaves as the manufacturer describes it. It does not show the speed of
the board, and its integers have 64 bits, where those of the board have 32.
"""
