"""One line of a benchmark report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BenchRow:
    """One piece of work, measured here and with a peer in the same run.

    Attributes
    ----------
    work : str
        What was done.
    ours_s, peer_s : float
        Median wall time in seconds.
    peer : str
        Name and version of the peer.
    note : str
        Repeats, and whatever makes the two differ.
    """

    work: str
    ours_s: float
    peer: str
    peer_s: float
    note: str
