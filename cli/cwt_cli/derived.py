"""A stream's definition made of what a source has and a few wishes; pure."""

from __future__ import annotations

from dataclasses import dataclass

from cwt_cli.faults import USAGE, CommandError
from cwt_schemas.codec import validated
from cwt_schemas.stream import StreamDefinition
from pycwt_client.sources import SourceInfo

__all__ = ["Wishes", "derived_definition", "parse_wishes", "split_names"]

#: Results come every so many periods of the highest frequency: often enough to see them move.
HOP_PERIODS = 8


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What is to be computed."""

    #: Channels whose power is wanted.
    power: tuple[str, ...] = ()
    #: Pairs whose coherence is wanted.
    coherence: tuple[tuple[str, str], ...] = ()
    fmin_hz: float
    fmax_hz: float


def parse_wishes(power: str | None, coherence: list[str], band: str | None) -> Wishes | None:
    """Return what the options ask for; None if they ask for nothing.

    Raises
    ------
    CommandError
        They cannot be read, or the band is missing.
    """
    if not power and not coherence:
        return None
    try:
        fmin_hz, fmax_hz = (float(part) for part in (band or "").split(","))
    except ValueError:
        raise CommandError("say from which to which frequency: --band 2,40", USAGE) from None
    pairs = [split_names(pair) for pair in coherence]
    wrong = next((pair for pair in pairs if len(pair) != 2), None)
    if wrong is not None:
        raise CommandError(
            f"--coherence takes two channels, such as c3,c4, and not {','.join(wrong)}", USAGE
        )
    return Wishes(
        power=split_names(power) if power else (),
        coherence=tuple((pair[0], pair[1]) for pair in pairs),
        fmin_hz=fmin_hz,
        fmax_hz=fmax_hz,
    )


def split_names(listed: str) -> tuple[str, ...]:
    """Return the names in a list with commas."""
    return tuple(name.strip() for name in listed.split(","))


def derived_definition(stream: str, info: SourceInfo, wishes: Wishes) -> StreamDefinition:
    """Return the definition of a stream with the channels and the rate of a source.

    Raises
    ------
    Unprocessable
        The wishes do not fit the source; the message says which.
    """
    common = {
        "fmin_hz": wishes.fmin_hz,
        "fmax_hz": wishes.fmax_hz,
        "hop_s": HOP_PERIODS / wishes.fmax_hz,
    }
    analyses = []
    if wishes.power:
        analyses.append(
            {"name": "power", "op": "cwt", "channels": wishes.power, "quantity": "power", **common}
        )
    if wishes.coherence:
        analyses.append(
            {
                "name": "coherence",
                "op": "wct",
                "pairs": wishes.coherence,
                "quantity": "coherence",
                "significance": {},
                **common,
            }
        )
    channels = [channel.model_dump() for channel in info.channels]
    return validated(
        StreamDefinition,
        {
            "name": stream,
            "fs_hz": info.fs_hz,
            "channels": channels,
            "analyses": analyses,
        },
    )
