"""The tables of the documents that follow from the code.

``python -m tests.unit.docs.tables`` prints them all, to paste where a test finds another.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram

from cwt_compute.settings import ComputeSettings
from cwt_gateway.settings import GatewaySettings
from cwt_hwbridge.settings import HwBridgeSettings
from cwt_ingest.settings import IngestSettings
from cwt_runtime.bus import Topology
from cwt_runtime.settings import ServiceSettings, StorageSettings
from cwt_runtime.storage.topology import system_topology
from cwt_runtime.telemetry import metrics
from cwt_runtime.telemetry.logs import Action
from pycwt_mod import DOG, Morlet, Paul, VoiceGrid, Wavelet, octave_layouts
from tests.variables import variables

UNITS = {1024**3: "GiB", 1024**2: "MiB"}


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def settings_table(
    kind: type[ServiceSettings], *, without: type[ServiceSettings] | None = None
) -> str:
    """Return the settings of one service, or those it has beyond what `without` has."""
    known = variables(without) if without else {}
    return table(
        ("variable", "default", "meaning"),
        [
            (f"`{name}`", shown(variable.default), variable.description)
            for name, variable in variables(kind).items()
            if name not in known
        ],
    )


def shown(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "unset" if value is None else f"`{value}`"


def size(count: int) -> str:
    unit = next(unit for unit in UNITS if count % unit == 0)
    return f"{count // unit} {UNITS[unit]}"


def age(seconds: float) -> str:
    if not seconds:
        return "no limit"
    return f"{seconds / 86_400:g} d" if seconds >= 86_400 else f"{seconds / 60:g} min"


def topology() -> Topology:
    return system_topology(StorageSettings())


def streams_table() -> str:
    return table(
        ("stream", "subjects", "retention", "size", "age", "when full", "duplicate window"),
        [
            (
                f"`{stream.name}`",
                ", ".join(f"`{subject}`" for subject in stream.subjects),
                {"limits": "limits", "workqueue": "work queue"}[stream.retention],
                size(stream.max_bytes),
                age(stream.max_age_s),
                {"refuse_new": "rejects new", "drop_old": "discards the oldest"}[stream.when_full],
                f"{stream.duplicate_window_s / 60:g} min",
            )
            for stream in topology().streams
        ],
    )


def consumers_table() -> str:
    return table(
        ("durable consumer", "stream", "acknowledge within", "unacknowledged at most"),
        [
            (
                f"`{each.name}`",
                f"`{each.stream}`",
                f"{each.ack_wait_s:g} s",
                str(each.max_ack_pending),
            )
            for each in topology().consumers
        ],
    )


def buckets_table() -> str:
    return table(
        ("bucket", "revisions", "size", "age"),
        [
            (
                f"`{each.name}`",
                str(each.history),
                "no limit" if each.max_bytes is None else size(each.max_bytes),
                age(each.max_age_s),
            )
            for each in topology().buckets
        ],
    )


def objects_table() -> str:
    return table(
        ("object bucket", "size", "age", "when full"),
        [
            (
                f"`{each.name}`",
                size(each.max_bytes),
                age(each.max_age_s),
                {"refuse_new": "rejects new", "drop_old": "discards the oldest"}[each.when_full],
            )
            for each in topology().objects
        ],
    )


def margins_table() -> str:
    """Return what an octave needs around its tiles, with a highest frequency of 10 Hz."""
    rows = []
    ops: tuple[Literal["cwt", "wct"], ...] = ("cwt", "wct")
    wavelets: tuple[Wavelet, ...] = (Morlet(), Paul(), DOG())
    for op, wavelet in product(ops, wavelets):
        grid = VoiceGrid(fs_hz=1000, fmin_hz=1, fmax_hz=10, voices_per_octave=12, wavelet=wavelet)
        top = octave_layouts(grid, op=op, hop_s=1, convention="standard")[0]
        both_s = 2 * top.margin / grid.fs_hz
        called = "`cwt`, `xwt`" if op == "cwt" else f"`{op}`"
        name = f"`{type(wavelet).__name__.lower()}`"
        rows.append((called, name, f"{both_s:.2g} s", f"{both_s / 2:.2g} s"))
    return table(("`op`", "`wavelet`", "both margins", "`hop_s` for 3 times"), rows)


def metrics_table() -> str:
    found = [getattr(metrics, name) for name in metrics.__all__ if name.isupper()]
    return table(
        ("metric", "kind", "labels", "meaning"),
        sorted(
            (
                f"`{each._name}{'_total' if isinstance(each, Counter) else ''}`",
                each._type,
                ", ".join(each._labelnames) or "none",
                each._documentation,
            )
            for each in found
            if isinstance(each, Counter | Gauge | Histogram)
        ),
    )


def actions() -> list[str]:
    return [action.value for action in Action]


if __name__ == "__main__":
    every = (
        settings_table(ServiceSettings),
        settings_table(IngestSettings, without=ServiceSettings),
        settings_table(ComputeSettings, without=ServiceSettings),
        settings_table(HwBridgeSettings, without=ServiceSettings),
        settings_table(GatewaySettings, without=ServiceSettings),
        margins_table(),
        streams_table(),
        consumers_table(),
        buckets_table(),
        objects_table(),
        metrics_table(),
    )
    print("\n\n".join(every))  # noqa: T201 - that is what it is for
