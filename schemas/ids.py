"""How windows and results are called: the same whenever they are made again."""

from __future__ import annotations

__all__ = ["tile_id"]


def tile_id(
    *, stream: str, epoch: str, analysis: str, spec_hash: str, octave: int, first_sample: int
) -> str:
    """Return the id of what is computed over one tile of one octave.

    A result's `spec_hash` is that of its channel set, a window's that of all the sets it carries.
    """
    return f"{stream}/{epoch}/{analysis}/{spec_hash}/{octave}/{first_sample}"
