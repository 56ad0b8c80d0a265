"""Plan the windows of a stream: one lane per octave of an analysis, its sets in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cwt_ingest.result_size import ResultSize
from cwt_runtime.analysis import plan_analysis
from cwt_schemas.analysis import AnalysisSpec, ChannelSet
from cwt_schemas.errors import Unprocessable
from cwt_schemas.limits import MAX_MESSAGE_BYTES, MAX_PAIRS_BYTES, MAX_RESULTS_PER_S
from cwt_schemas.stream import StreamDefinition

__all__ = ["Batch", "Lane", "plan_lanes"]

#: Bytes of a window in addition to its samples: analysis, names, times, and their encoding.
WINDOW_OVERHEAD_BYTES = 64 * 1024
#: Samples are held, and at most sent, as float64.
SAMPLE_BYTES = 8
#: Bytes of samples in a window above which the channel sets of the analysis are split over several
#: windows. With less, the cost of a message exceeds its work; with more, few workers get any.
TARGET_WINDOW_BYTES = 1024 * 1024
#: Memory limit for the samples of one stream, bytes.
MAX_HELD_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Channel sets of one window, and the columns of their channels in a chunk."""

    names: tuple[str, ...]
    columns: tuple[int, ...]
    #: The analysis restricted to these sets, as a window carries it.
    spec: AnalysisSpec
    spec_hash: str


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One octave of one analysis: its windows have `tile` samples and `margin` on either side."""

    analysis: AnalysisSpec
    octave: int
    tile: int
    margin: int
    batches: tuple[Batch, ...]
    #: Size of the results of a window of all batches.
    results: ResultSize
    #: Most pairs of one result, for an analysis of all pairs.
    pairs_per_message: int | None = None

    @property
    def key(self) -> str:
        """The lane's name in a checkpoint."""
        return f"{self.analysis.name}/{self.octave}"

    @property
    def messages(self) -> int:
        """Number of results of a window of all batches."""
        if self.pairs_per_message is None:
            return self.analysis.n_sets
        return -(-self.analysis.n_sets // max(self.pairs_per_message, 1))

    @property
    def window(self) -> int:
        """Length of a whole window in samples."""
        return self.tile + 2 * self.margin


def plan_lanes(
    definition: StreamDefinition,
    *,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    log_max_age_s: float = 0.0,
) -> tuple[Lane, ...]:
    """Return the lanes of all analyses of a stream.

    Parameters
    ----------
    definition
        The stream.
    max_message_bytes
        Maximum size of a message; each window is one message.
    log_max_age_s
        Retention time of the signal log, 0 for unlimited; a window is cut from stored chunks.

    Raises
    ------
    Unprocessable
        An analysis cannot be run live, or chunks that wait for a missing one would exceed the
        memory limit; the message states the numbers.
    """
    _check_waiting(definition)
    lanes = []
    for spec in definition.analyses:
        try:
            plan = plan_analysis(spec, definition.fs_hz)
        except (ValueError, OverflowError) as error:
            raise Unprocessable.of({f"analyses.{spec.name}": str(error)}) from error
        for layout in plan.layouts:
            size = ResultSize.of(spec, plan, layout.octave)
            if size.rows == 0:
                continue  # none of the bands is in this octave
            channel_bytes = (layout.tile + 2 * layout.margin) * SAMPLE_BYTES
            lane = Lane(
                analysis=spec,
                octave=layout.octave,
                tile=layout.tile,
                margin=layout.margin,
                batches=_batches(definition, spec, TARGET_WINDOW_BYTES // channel_bytes),
                results=size,
                pairs_per_message=(
                    size.sets_within(max_message_bytes) if spec.pairs == "all" else None
                ),
            )
            _check(lane, definition, max_message_bytes, log_max_age_s)
            lanes.append(lane)
    _check_rate(lanes, definition.fs_hz)
    return tuple(lanes)


def _batches(
    definition: StreamDefinition, spec: AnalysisSpec, max_channels: int
) -> tuple[Batch, ...]:
    column = {name: index for index, name in enumerate(definition.channel_names)}
    parts = [spec]
    if spec.pairs != "all":  # each channel of all pairs is transformed once, for all of them
        parts = [spec.narrowed(*sets) for sets in _grouped(spec.channel_sets, max_channels)]
    batches = []
    for part in parts:
        # Windows are the same with and without estimates.
        narrowed = part.model_copy(update={"provisional": None})
        names = narrowed.used_channels
        batches.append(
            Batch(
                names=names,
                columns=tuple(column[name] for name in names),
                spec=narrowed,
                spec_hash=narrowed.spec_hash(fs_hz=definition.fs_hz),
            )
        )
    return tuple(batches)


def _grouped(sets: tuple[ChannelSet, ...], max_channels: int) -> Iterator[tuple[ChannelSet, ...]]:
    """Yield the sets in groups of at most `n` different channels, or of one set."""
    group: list[ChannelSet] = []
    channels: set[str] = set()
    for each in sets:
        if group and len(channels.union(each)) > max_channels:
            yield tuple(group)
            group, channels = [], set()
        group.append(each)
        channels.update(each)
    yield tuple(group)


def _check_waiting(definition: StreamDefinition) -> None:
    row_bytes = len(definition.channels) * SAMPLE_BYTES
    waiting = definition.reorder_s * definition.fs_hz * row_bytes
    if waiting > MAX_HELD_BYTES:
        problem = (
            f"chunks of {definition.reorder_s:g} s, which may have to wait for a missing one, take "
            f"{waiting:.0f} bytes, at most {MAX_HELD_BYTES} are allowed: lower reorder_s"
        )
        raise Unprocessable.of({"reorder_s": problem})


def _check(
    lane: Lane, definition: StreamDefinition, max_message_bytes: int, log_max_age_s: float
) -> None:
    seconds = lane.window / definition.fs_hz
    window = f"octave {lane.octave} needs windows of {lane.window} samples ({seconds:.4g} s)"
    channels = max(len(batch.names) for batch in lane.batches)
    size = lane.window * channels * SAMPLE_BYTES + WINDOW_OVERHEAD_BYTES
    if size > max_message_bytes:
        raise _refused(
            lane,
            "fmin_hz",
            f"{window} of {channels} channels, {size} bytes, and a message carries "
            f"{max_message_bytes}: raise fmin_hz, lower hop_s, or send a lower rate",
        )
    if lane.pairs_per_message is not None:
        _check_pairs(lane, max_message_bytes)
    held = lane.window * len(definition.channels) * SAMPLE_BYTES
    if held > MAX_HELD_BYTES:
        raise _refused(
            lane,
            "fmin_hz",
            f"{window}, and to hold them for {len(definition.channels)} channels takes {held} "
            f"bytes, at most {MAX_HELD_BYTES} are allowed: raise fmin_hz, or divide the stream",
        )
    if log_max_age_s and seconds > log_max_age_s:
        raise _refused(
            lane,
            "fmin_hz",
            f"{window}, and the signal log keeps chunks for {log_max_age_s:g} s: raise fmin_hz, "
            "or raise CWT_SIGNALS_MAX_AGE_S",
        )


def _check_pairs(lane: Lane, max_message_bytes: int) -> None:
    size = lane.results
    if size.window_bytes > MAX_PAIRS_BYTES:
        raise _refused(
            lane,
            "hop_s",
            f"octave {lane.octave} has results of {size.n_sets} pairs, {size.window_bytes} bytes "
            f"per window, at most {MAX_PAIRS_BYTES} are allowed: use bands or decimate, lower "
            "hop_s, or choose fewer channels",
        )
    if lane.pairs_per_message == 0:
        raise _refused(
            lane,
            "hop_s",
            f"octave {lane.octave} has results whose mask takes {size.shared_bytes} bytes, and a "
            f"message carries {max_message_bytes}: use bands or decimate, or lower hop_s",
        )


def _check_rate(lanes: list[Lane], fs_hz: float) -> None:
    rates = {lane.key: lane.messages * fs_hz / lane.tile for lane in lanes}
    total = sum(rates.values())
    if total > MAX_RESULTS_PER_S:
        busiest = max(lanes, key=lambda lane: rates[lane.key])
        raise _refused(
            busiest,
            "hop_s",
            f"the stream would produce {total:.0f} results per second, at most {MAX_RESULTS_PER_S} "
            "are allowed: "
            "raise hop_s, or analyse fewer channels",
        )


def _refused(lane: Lane, field: str, problem: str) -> Unprocessable:
    return Unprocessable.of({f"analyses.{lane.analysis.name}.{field}": problem})
