"""Any message that can travel, for property tests."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cwt_schemas as schemas
from cwt_schemas import Message, analysis, hardware, hwops, job, query
from cwt_schemas.audit import AuditAction, AuditRecord
from cwt_schemas.limits import MAX_FIRST_SAMPLE, MAX_INT64, MAX_T0_NS

Strategy = st.SearchStrategy[Any]

names = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
epochs = st.from_regex(r"[A-Za-z0-9_.:+-]{1,64}", fullmatch=True)
hashes = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
counts = st.integers(0, MAX_INT64)
positive_counts = st.integers(1, MAX_INT64)
positions = st.integers(-MAX_INT64, MAX_INT64)
rates = st.floats(min_value=1e-6, max_value=1e9)
seconds = st.floats(min_value=0, max_value=1e9)
levels = st.floats(0.01, 0.99)
texts = st.text(max_size=30)
ids = st.text(min_size=1, max_size=40)


def maybe(strategy: Strategy) -> Strategy:
    return st.none() | strategy


def arrays(dtypes: tuple[str, ...], shape: Strategy) -> Strategy:
    finite_or_nan = {"allow_infinity": False, "allow_nan": True}
    return st.sampled_from(dtypes).flatmap(
        lambda dtype: hnp.arrays(
            dtype, shape, elements=finite_or_nan if np.dtype(dtype).kind in "fc" else None
        )
    )


FLOATS = ("<f4", "<f8")
COMPLEX = ("<c8", "<c16")
SAMPLES = ("<i2", "<i4", "<f4", "<f8")
lengths = st.integers(1, 6)
vectors = arrays(FLOATS, st.tuples(lengths))
matrices = arrays(FLOATS, st.tuples(lengths, lengths))
complex_vectors = arrays(COMPLEX, st.tuples(lengths))
complex_matrices = arrays(COMPLEX, st.tuples(lengths, lengths))
samples = arrays(SAMPLES, st.tuples(lengths) | st.tuples(lengths, st.integers(2, 4)))

chunks = st.builds(
    schemas.SignalChunk,
    epoch=epochs,
    first_sample=maybe(st.integers(0, MAX_FIRST_SAMPLE)),
    t0_ns=maybe(st.integers(0, MAX_T0_NS)),
    samples=samples,
    final=st.booleans(),
)


@st.composite
def specs(draw: st.DrawFn, channels: tuple[str, ...] = ("a", "b", "c")) -> analysis.AnalysisSpec:
    ops: list[analysis.Op] = ["cwt", "xwt", "wct", "mwct", "pwct"]
    most = {1: 1, 2: 4}.get(len(channels), 5)
    op = draw(st.sampled_from(ops[:most]))
    some = st.lists(st.sampled_from(channels), min_size=1, unique=True).map(tuple)
    pair = st.permutations(channels).map(lambda order: tuple(order[:2]))
    fmin_hz = draw(st.floats(0.001, 1.0))
    order = draw(st.permutations(channels))
    joint: dict[str, Any] = {}
    all_pairs: dict[str, object] = {}
    if op == "wct" and draw(st.booleans()):
        all_pairs = {
            "pairs": "all",
            "channels": tuple(order),
            "bands": draw(st.sampled_from([(), ((fmin_hz, 1.25 * fmin_hz),)])),
            "decimate": draw(st.integers(1, 4096)),
            "phase": draw(st.booleans()),
        }
    if op == "mwct":
        joint = {"target": order[0], "given": tuple(order[1:2])}
    if op == "pwct":
        joint = {"pairs": (tuple(order[:2]),), "given": tuple(order[2:3])}
    quantities = (
        ["coherence"] if op in analysis.COHERENCES else ["complex", "power", "amplitude", "phase"]
    )
    sets: dict[str, Any] = {"channels": draw(some)} if op == "cwt" else joint
    if op in ("xwt", "wct"):
        sets = all_pairs or {"pairs": draw(st.lists(pair, min_size=1, unique=True).map(tuple))}
    delays = st.builds(analysis.ProvisionalSpec, delay_s=st.floats(0, 10))
    errors = st.builds(analysis.ProvisionalSpec, max_error=st.floats(0.01, 0.99))
    return analysis.AnalysisSpec(
        name=draw(names),
        op=op,
        provisional=draw(maybe(delays | errors)) if op == "cwt" else None,
        **sets,
        wavelet=draw(st.sampled_from(["morlet", "paul", "dog"])),
        param=draw(st.sampled_from([-1.0, 4.0, 6.0])),
        voices_per_octave=draw(st.integers(1, 96)),
        fmin_hz=fmin_hz,
        fmax_hz=fmin_hz * draw(st.floats(1.5, 20.0)),
        hop_s=draw(rates),
        quantity=draw(st.sampled_from(quantities)),
        significance=(
            draw(maybe(st.builds(analysis.SignificanceSpec, level=levels)))
            if op in analysis.COHERENCES
            else None
        ),
        convention=draw(st.sampled_from(["standard", "pycwt"])),
    )


@st.composite
def definitions(draw: st.DrawFn) -> schemas.StreamDefinition:
    channels = tuple(draw(st.lists(names, min_size=1, max_size=4, unique=True)))
    return schemas.StreamDefinition(
        name=draw(names),
        fs_hz=draw(st.floats(40.0, 1e6)),
        channels=tuple(schemas.Channel(name=name, unit=draw(maybe(texts))) for name in channels),
        analyses=tuple(
            draw(st.lists(specs(channels), max_size=2, unique_by=lambda spec: spec.name))
        ),
        defined_by=draw(maybe(texts)),
    )


statuses = st.builds(
    schemas.StreamStatus,
    definition=definitions(),
    sequenced=maybe(st.booleans()),
    epoch=maybe(epochs),
    next_sample=maybe(counts),
    chunks=counts,
    windows=counts,
    last_chunk_ns=maybe(counts),
    provisional=st.lists(
        st.builds(
            schemas.ProvisionalStatus,
            analysis=names,
            octave=st.integers(0, 62),
            compared=counts,
            coverage=st.dictionaries(names, st.floats(0, 1), max_size=2),
            scale=st.dictionaries(names, rates, max_size=2),
        ),
        max_size=2,
    ).map(tuple),
)


@st.composite
def windows(draw: st.DrawFn) -> schemas.AnalysisWindow:
    spec = draw(specs())
    channels = tuple(draw(st.permutations(spec.used_channels)))
    return schemas.AnalysisWindow(
        id=draw(ids),
        stream=draw(names),
        epoch=draw(epochs),
        analysis=spec,
        fs_hz=draw(rates),
        channels=channels,
        octave=draw(st.integers(0, 62)),
        tile=schemas.Tile(first_sample=draw(counts), n=draw(positive_counts)),
        first_sample=draw(positions),
        samples=draw(arrays(SAMPLES, st.tuples(lengths, st.just(len(channels))))),
        t0_ns=draw(maybe(counts)),
        stale_after_s=draw(maybe(rates)),
        spec_hash=draw(hashes),
        pairs_per_message=draw(maybe(positive_counts)) if spec.pairs == "all" else None,
        times_ns=schemas.WindowTimes(received=draw(counts), windowed=draw(counts)),
    )


@st.composite
def results(draw: st.DrawFn) -> schemas.AnalysisResult:
    k, n = draw(lengths), draw(lengths)
    vector, matrix = st.just((k,)), st.just((k, n))
    return schemas.AnalysisResult(
        id=draw(ids),
        stream=draw(names),
        epoch=draw(epochs),
        analysis=draw(names),
        op=draw(st.sampled_from(["cwt", "xwt", "wct"])),
        channels=tuple(draw(st.lists(names, min_size=1, max_size=2))),
        octave=draw(st.integers(0, 62)),
        freqs_hz=draw(arrays(FLOATS, vector)),
        scales_s=draw(arrays(FLOATS, vector)),
        t=schemas.TimeAxis(first_sample=draw(counts), step=draw(positive_counts), n=n),
        t0_ns=draw(maybe(counts)),
        values=draw(arrays(FLOATS + COMPLEX, matrix)),
        phase=draw(maybe(arrays(FLOATS, matrix))),
        signif=draw(maybe(arrays(FLOATS, vector))),
        fs_hz=draw(st.none() | st.floats(1e-3, 1e6)),
        signif_method=draw(st.sampled_from([None, "table", "monte-carlo"])),
        mask=draw(maybe(hnp.arrays(np.bool_, matrix))),
        input=schemas.InputSpan(first_sample=draw(positions), n_samples=draw(positive_counts)),
        spec_hash=draw(hashes),
        engine=draw(st.builds(schemas.Engine, **dict.fromkeys(schemas.Engine.model_fields, texts))),
        times_ns=schemas.ResultTimes(
            received=draw(counts), windowed=draw(counts), computed=draw(counts)
        ),
    )


@st.composite
def pair_results(draw: st.DrawFn) -> schemas.PairsResult:
    one = draw(results())
    channels = tuple(draw(st.lists(names, min_size=2, max_size=4)))
    n_pairs, (k, n) = draw(lengths), one.values.shape
    places = hnp.arrays("<i2", (n_pairs, 2), elements=st.integers(0, len(channels) - 1))
    cube = st.just((n_pairs, k, n))
    bands = st.builds(schemas.PairBand, band_hz=st.tuples(rates, rates), n_scales=positive_counts)
    shared = schemas.PairsResult.model_fields.keys() & schemas.AnalysisResult.model_fields.keys()
    fields = {name: getattr(one, name) for name in shared - {"schema_id"}}
    fields |= {"fs_hz": draw(rates), "signif": draw(maybe(arrays(FLOATS, st.just((n_pairs, k)))))}
    return schemas.PairsResult(
        **fields
        | {
            "channels": channels,
            "pairs": draw(places),
            "first_pair": draw(counts),
            "total_pairs": draw(positive_counts),
            "bands": draw(maybe(st.lists(bands, min_size=k, max_size=k).map(tuple))),
            "values": draw(arrays(FLOATS, cube)),
            "phase": draw(maybe(arrays(FLOATS, cube))),
            "mask": draw(maybe(hnp.arrays(np.bool_, (len(channels), k, n)))),
        }
    )


events = st.builds(
    schemas.StreamEvent,
    id=ids,
    stream=names,
    epoch=maybe(epochs),
    kind=st.sampled_from(
        ["gap", "overlap", "reset", "rejected", "missing", "recovered", "lag", "dropped"]
    ),
    first_sample=maybe(counts),
    n_samples=maybe(counts),
    detail=texts,
    t_ns=counts,
)


@st.composite
def markers(draw: st.DrawFn) -> schemas.Marker:
    place = draw(
        st.fixed_dictionaries({"first_sample": st.integers(0, MAX_FIRST_SAMPLE), "epoch": epochs})
        | st.fixed_dictionaries({"t_ns": st.integers(0, MAX_T0_NS), "epoch": maybe(epochs)})
    )
    length = draw(
        st.just({})
        | st.fixed_dictionaries({"n_samples": counts})
        | st.fixed_dictionaries({"duration_s": seconds})
    )
    return schemas.Marker(
        stream=draw(names), channel=draw(maybe(names)), text=draw(texts), **place, **length
    )


letters = st.builds(
    schemas.DeadLetter,
    where=names,
    subject=texts,
    id=maybe(texts),
    headers=st.dictionaries(texts, texts, max_size=3),
    reason=texts,
    deliveries=counts,
    t_ns=counts,
    payload=st.binary(max_size=50),
    payload_bytes=counts,
)
clocks = st.builds(
    schemas.ClockState,
    sample=counts,
    t_ns=counts,
    newest_sample=counts,
    newest_ns=counts,
    stamps=counts,
    **{name: st.floats(-1e9, 1e9) for name in ("weight", "mean_x", "mean_y", "cxx", "cxy", "cyy")},
)
checkpoints = st.builds(
    schemas.StreamCheckpoint,
    stream=names,
    owner=maybe(texts),
    definition_revision=counts,
    replay_from_seq=counts,
    last_seq=counts,
    tiles=st.dictionaries(texts, counts, max_size=3),
    state=st.builds(
        schemas.ReplayState,
        epoch=maybe(epochs),
        next_sample=counts,
        ended_epochs=st.lists(epochs, max_size=3).map(tuple),
        sequenced=maybe(st.booleans()),
        clock=maybe(clocks),
    ),
    released_after=st.lists(counts, max_size=3).map(tuple),
    progress=st.builds(
        schemas.StreamProgress,
        epoch=maybe(epochs),
        chunks=counts,
        lag=st.builds(schemas.StreamLag, chunks=counts, windows=counts, seconds=st.floats(0, 1e9)),
    ),
)

transform: dict[str, Strategy] = {
    "dt": rates,
    "dj": rates,
    "s0": st.sampled_from([-1.0, 0.5]),
    "J": st.integers(-1, 4095),
}
wavelet = {
    "mother": st.sampled_from(["morlet", "paul", "dog"]),
    "param": st.sampled_from([-1.0, 4.0]),
    "convention": st.sampled_from(["standard", "pycwt"]),
    "dtype": st.sampled_from(["float32", "float64"]),
}
transform |= wavelet
lag1_estimates = st.builds(
    schemas.Lag1Estimate,
    g=st.floats(-0.99, 0.99),
    estimator=st.sampled_from(["allen-smith", "autocorrelation"]),
)
simulation: dict[str, Strategy] = {
    "method": st.sampled_from(["montecarlo", "table"]),
    "mc_count": st.integers(1, 100_000),
    "backend": names,
    "fallback": st.booleans(),
    "seed": maybe(counts),
}


@st.composite
def pairs(draw: st.DrawFn, /, make: Callable[..., Message], **more: Strategy) -> Message:
    shape = st.just((draw(lengths),))
    signals = {name: draw(arrays(FLOATS, shape)) for name in ("signal1", "signal2")}
    fields = {name: draw(strategy) for name, strategy in (transform | more).items()}
    return make(**signals, **fields)


@st.composite
def joints(draw: st.DrawFn, /, make: Callable[..., Message], *names: str) -> Message:
    """Return a request for a coherence of several signals, of which `names` are not given."""
    n = draw(st.integers(1, 4))
    signals = {name: draw(arrays(FLOATS, st.just((n,)))) for name in names}
    given = draw(arrays(FLOATS, st.just((draw(st.integers(1, 3)), n))))
    more = {"deltaj0": maybe(rates), "significance_level": maybe(levels), **simulation}
    fields = {name: draw(strategy) for name, strategy in (transform | more).items()}
    return make(**signals, given=given, **fields)


infos = st.builds(
    query.BackendInfo,
    name=names,
    available=st.booleans(),
    description=texts,
    type=texts,
    error=maybe(texts),
)
devices = st.builds(
    hardware.DeviceReport,
    available=st.booleans(),
    device=maybe(texts),
    build_hash=maybe(texts),
    simulated=st.booleans(),
    detail=texts,
)
serial_devices = st.builds(
    hardware.SerialDevice,
    port=texts,
    description=texts,
    manufacturer=maybe(texts),
    vid=maybe(st.integers(0, 0xFFFF)),
    pid=maybe(st.integers(0, 0xFFFF)),
    serial_number=maybe(texts),
)
timings = st.builds(
    schemas.BackendTiming,
    status=st.sampled_from(["ok", "unavailable", "failed"]),
    computation_time=maybe(seconds),
    speedup=maybe(st.floats(0.01, 100)),
    max_difference=maybe(st.floats(0, 1)),
    error=maybe(texts),
)
problems = st.builds(
    schemas.errors.Problem,
    code=st.sampled_from(schemas.ErrorCode),
    message=texts,
    detail=maybe(st.dictionaries(texts, texts | counts | st.booleans(), max_size=3)),
)


def tuples_of(strategy: Strategy) -> Strategy:
    return st.lists(strategy, max_size=3).map(tuple)


integers = arrays(("<i2", "<i4"), st.tuples(lengths, lengths))
#: JSON has but these, and a test narrows no more than the fields of the message itself.
wide_vectors = arrays(("<f8",), st.tuples(lengths))
kinds = st.sampled_from(["tangnano9k", "elm11"])
device_states = st.sampled_from(["absent", "faulty", "ready", "busy"])
operations = st.lists(
    st.sampled_from(["selftest", "fft", "cwt", "mc"]), max_size=4, unique=True
).map(tuple)
#: What every request to a device takes, and what every result of one says.
asked: dict[str, Strategy] = {"timeout_s": st.floats(0.1, 3600), "id": maybe(names)}
origin: dict[str, Strategy] = {
    "device": names,
    "kind": kinds,
    "build_hash": texts,
    "simulated": st.booleans(),
    "computation_time": seconds,
}

joint_reply: dict[str, Strategy] = {
    "coi": vectors,
    "freqs": vectors,
    "signif": maybe(vectors),
    "lag1": maybe(st.lists(lag1_estimates, min_size=2, max_size=4).map(tuple)),
    "backend_used": maybe(names),
    "seed": maybe(counts),
    "computation_time": seconds,
}

BY_MODEL: dict[type[Message], Strategy] = {
    schemas.SignalChunk: chunks,
    schemas.StreamDefinition: definitions(),
    schemas.StreamGet: st.builds(schemas.StreamGet, name=names),
    schemas.StreamList: st.builds(schemas.StreamList),
    schemas.StreamDelete: st.builds(schemas.StreamDelete, name=names),
    schemas.StreamPurge: st.builds(schemas.StreamPurge, name=names),
    schemas.StreamPurged: st.builds(
        schemas.StreamPurged,
        name=names,
        chunks=counts,
        windows=counts,
        results=counts,
        events=counts,
        markers=counts,
        dead_letters=counts,
    ),
    schemas.StreamStatus: statuses,
    schemas.StreamListing: st.builds(
        schemas.StreamListing, streams=st.lists(statuses, max_size=2).map(tuple)
    ),
    schemas.AnalysisWindow: windows(),
    schemas.AnalysisResult: results(),
    schemas.PairsResult: pair_results(),
    schemas.StreamEvent: events,
    schemas.Marker: markers(),
    schemas.DeadLetter: letters,
    AuditRecord: st.builds(
        AuditRecord,
        id=ids,
        action=st.sampled_from(AuditAction),
        kind=st.sampled_from(["stream", "job"]),
        name=names,
        user=maybe(texts),
        account=maybe(texts),
        t_ns=counts,
    ),
    schemas.StreamCheckpoint: checkpoints,
    schemas.CwtRequest: st.builds(
        schemas.CwtRequest,
        data=vectors,
        **transform,
    ),
    schemas.CwtReply: st.builds(
        schemas.CwtReply,
        wave=complex_matrices,
        scales=vectors,
        freqs=vectors,
        coi=vectors,
        fft=complex_vectors,
        fftfreqs=vectors,
        computation_time=seconds,
    ),
    schemas.WctRequest: pairs(
        schemas.WctRequest,
        significance_level=maybe(levels),
        **simulation,
    ),
    schemas.Lag1Estimate: lag1_estimates,
    schemas.WctReply: st.builds(
        schemas.WctReply,
        WCT=matrices,
        aWCT=matrices,
        coi=vectors,
        freqs=vectors,
        signif=maybe(vectors),
        lag1=maybe(st.tuples(lag1_estimates, lag1_estimates)),
        backend_used=maybe(names),
        seed=maybe(counts),
        computation_time=seconds,
    ),
    schemas.PwctRequest: joints(schemas.PwctRequest, "signal1", "signal2"),
    schemas.MwctRequest: joints(schemas.MwctRequest, "target"),
    schemas.PwctReply: st.builds(schemas.PwctReply, PWCT=matrices, aPWCT=matrices, **joint_reply),
    schemas.MwctReply: st.builds(schemas.MwctReply, MWCT=matrices, **joint_reply),
    schemas.SignificanceRequest: st.builds(
        schemas.SignificanceRequest,
        al1=st.floats(-0.99, 0.99),
        al2=st.floats(-0.99, 0.99),
        dt=st.floats(1e-3, 1e3),
        dj=st.floats(0.01, 1),
        s0=st.floats(1e-3, 1e3),
        J=st.integers(0, 4095),
        significance_level=levels,
        n=maybe(st.integers(2, 10_000)),
        **wavelet,
        **simulation,
    ),
    schemas.SignificanceReply: st.builds(
        schemas.SignificanceReply,
        signif=vectors,
        backend_used=maybe(names),
        seed=maybe(counts),
        computation_time=seconds,
        cached=st.booleans(),
    ),
    schemas.KeptLevels: st.builds(
        schemas.KeptLevels,
        signif=vectors,
        standard_error=vectors,
        pairs=tuples_of(counts),
    ),
    schemas.BenchmarkRequest: st.builds(
        schemas.BenchmarkRequest,
        signal_length=st.integers(32, 500_000),
        mc_count=st.integers(1, 100_000),
        backends=st.lists(names, min_size=1, max_size=3, unique=True).map(tuple),
    ),
    schemas.BenchmarkReply: st.builds(
        schemas.BenchmarkReply,
        signal_length=counts,
        mc_count=counts,
        results=st.dictionaries(names, timings, max_size=3),
    ),
    schemas.SchemaRequest: st.builds(schemas.SchemaRequest, name=names),
    schemas.SchemaReply: st.builds(
        schemas.SchemaReply,
        name=names,
        subject=names,
        request=st.just({"type": "object"}),
        reply=st.just({"type": "object"}),
        error=st.just({"type": "object"}),
        stored=st.just({"type": "object"}),
    ),
    schemas.XwtRequest: pairs(schemas.XwtRequest, significance_level=levels),
    schemas.XwtReply: st.builds(
        schemas.XwtReply,
        xwt=complex_matrices,
        phase=matrices,
        coi=vectors,
        freqs=vectors,
        signif=maybe(vectors),
        lag1=maybe(st.tuples(lag1_estimates, lag1_estimates)),
        computation_time=seconds,
    ),
    schemas.BackendsRequest: st.builds(schemas.BackendsRequest),
    schemas.BackendRequest: st.builds(schemas.BackendRequest, name=names),
    schemas.BackendInfo: infos,
    schemas.BackendsReply: st.builds(schemas.BackendsReply, backends=tuples_of(infos)),
    schemas.HealthRequest: st.builds(schemas.HealthRequest),
    schemas.HealthReply: st.builds(
        schemas.HealthReply,
        status=st.sampled_from(["ok", "degraded", "stopping"]),
        version=texts,
        uptime_s=seconds,
        lag=maybe(counts),
    ),
    schemas.HwList: st.builds(schemas.HwList),
    schemas.HwListing: st.builds(
        schemas.HwListing,
        devices=tuples_of(serial_devices),
        configured=tuples_of(
            st.builds(
                hardware.ConfiguredPort,
                device=names,
                port=texts,
                kind=kinds,
                state=device_states,
                build_hash=maybe(texts),
                simulated=st.booleans(),
                operations=operations,
                detail=texts,
            )
        ),
    ),
    schemas.HwEvent: st.builds(
        schemas.HwEvent,
        id=ids,
        device=names,
        kind=st.sampled_from(["connected", "lost", "reset", "progress"]),
        detail=texts,
        operation=maybe(st.sampled_from(["cwt", "mc"])),
        done=maybe(counts),
        total=maybe(counts),
        t_ns=counts,
    ),
    hwops.HwInfoRequest: st.builds(hwops.HwInfoRequest),
    hwops.HwInfo: st.builds(
        hwops.HwInfo,
        device=names,
        kind=kinds,
        port=texts,
        state=device_states,
        build_hash=texts,
        simulated=st.booleans(),
        operations=operations,
        baud=positive_counts,
        clock_hz=maybe(positive_counts),
        limits=st.dictionaries(names, counts, max_size=3),
        queued=counts,
        detail=texts,
    ),
    hwops.HwSelftestRequest: st.builds(
        hwops.HwSelftestRequest, seed=st.integers(1, 2**32 - 1), **asked
    ),
    hwops.HwSelftestReply: st.builds(
        hwops.HwSelftestReply,
        passed=st.booleans(),
        checks=tuples_of(st.builds(hwops.HwCheck, name=texts, passed=st.booleans(), detail=texts)),
        seed=counts,
        **origin,
    ),
    hwops.HwFftRequest: st.builds(hwops.HwFftRequest, data=vectors, **asked),
    hwops.HwFftReply: st.builds(
        hwops.HwFftReply, fft=complex_vectors, integers=integers, scale=rates, **origin
    ),
    hwops.HwCwtRequest: st.builds(
        hwops.HwCwtRequest,
        data=vectors,
        dt=rates,
        voices=st.integers(1, 12),
        s0=rates,
        octaves=st.integers(1, 16),
        **wavelet,
        **asked,
    ),
    hwops.HwCwtReply: st.builds(
        hwops.HwCwtReply,
        octaves=tuples_of(
            st.builds(
                hwops.HwOctave,
                scales=wide_vectors,
                freqs=wide_vectors,
                integers=arrays(("<i4",), st.tuples(lengths, lengths)),
                scale=wide_vectors,
                first_sample=st.floats(-1e6, 1e6),
                step=positive_counts,
            )
        ),
        saturations=counts,
        **origin,
    ),
    hwops.HwMcRequest: st.builds(
        hwops.HwMcRequest,
        al1=st.floats(-0.99, 0.99),
        al2=st.floats(-0.99, 0.99),
        dj=st.floats(0.01, 1),
        s0=rates,
        rows=st.integers(1, 12),
        pairs=st.integers(1, 100_000),
        seed=counts,
        **wavelet,
        **asked,
    ),
    hwops.HwMcReply: st.builds(
        hwops.HwMcReply,
        scales=vectors,
        histograms=integers,
        saturations=counts,
        seed=counts,
        **origin,
    ),
    hwops.HwCancel: st.builds(hwops.HwCancel, id=names),
    hwops.HwCancelled: st.builds(
        hwops.HwCancelled, id=names, was=st.sampled_from(["queued", "running"])
    ),
    schemas.HardwareRequest: st.builds(schemas.HardwareRequest),
    schemas.HardwareReply: st.builds(
        schemas.HardwareReply,
        fpga=devices,
        embedded=devices,
        gpu=devices,
        cpu=st.builds(hardware.CpuReport, cores=st.integers(1, 512), detail=texts),
    ),
    schemas.ErrorBody: st.builds(schemas.ErrorBody, error=problems),
    schemas.StoredReply: st.builds(
        schemas.StoredReply,
        object=st.builds(
            schemas.StoredObject,
            bucket=texts,
            name=texts,
            size=counts,
            sha256=st.from_regex("[0-9a-f]{64}", fullmatch=True),
        ),
    ),
}


def task(model: Callable[..., Message], request: type[Message], kind: str) -> Strategy:
    """What a query asks for, as a task of a job."""
    return BY_MODEL[request].map(
        lambda asked: model(
            type=kind, **{name: getattr(asked, name) for name in type(asked).model_fields}
        )
    )


objects = st.builds(
    schemas.StoredObject,
    bucket=texts,
    name=texts,
    size=counts,
    sha256=st.from_regex("[0-9a-f]{64}", fullmatch=True),
)
engines = st.builds(
    schemas.Engine,
    library=texts.map(lambda text: text[:64]),
    version=texts,
    backend=names,
    worker=names,
)
task_ids = st.from_regex(r"[0-9]{1,4}", fullmatch=True)
statuses = st.sampled_from(schemas.JobStatus)
task_strategies: dict[type[Message], Strategy] = {
    schemas.CwtTask: task(schemas.CwtTask, schemas.CwtRequest, "cwt"),
    schemas.XwtTask: task(schemas.XwtTask, schemas.XwtRequest, "xwt"),
    schemas.WctTask: task(schemas.WctTask, schemas.WctRequest, "wct"),
    schemas.PwctTask: task(schemas.PwctTask, schemas.PwctRequest, "pwct"),
    schemas.MwctTask: task(schemas.MwctTask, schemas.MwctRequest, "mwct"),
    schemas.SignificanceTask: task(
        schemas.SignificanceTask, schemas.SignificanceRequest, "significance"
    ),
}
any_task = st.one_of(*task_strategies.values())
tasks = st.lists(any_task, min_size=1, max_size=2).map(tuple)
expansions = st.builds(
    job.Expansion,
    name=maybe(texts),
    digest=hashes,
    tasks_count=positive_counts,
    tasks=objects,
    created_ns=counts,
    submitted_by=maybe(texts),
    results_bytes=counts,
)
summaries = st.builds(
    job.JobSummary, status=statuses, done=counts, failed=counts, finished_ns=counts
)
how_far = {
    "job_id": names,
    "status": statuses,
    "progress": st.floats(0, 100),
    "tasks_count": positive_counts,
    "done": counts,
    "failed": counts,
}
task_states = st.builds(
    schemas.TaskState,
    task_id=task_ids,
    status=st.sampled_from(["queued", "done", "failed", "cancelled"]),
    subject=maybe(texts),
    stream_seq=maybe(positive_counts),
    object=maybe(objects),
    error=maybe(texts),
)
states = st.builds(
    schemas.JobState,
    name=maybe(texts),
    results=st.lists(task_states, max_size=2).map(tuple),
    created_ns=counts,
    started_ns=maybe(counts),
    finished_ns=maybe(counts),
    attempt=positive_counts,
    submitted_by=maybe(texts),
    **how_far,
)
outcome = {
    "job_id": names,
    "task_id": task_ids,
    "type": st.sampled_from(["cwt", "xwt", "wct", "pwct", "mwct", "significance"]),
    "attempt": positive_counts,
    "engine": engines,
    "started_ns": counts,
    "finished_ns": counts,
}
task_replies = st.one_of(
    BY_MODEL[schemas.CwtReply],
    BY_MODEL[schemas.XwtReply],
    BY_MODEL[schemas.WctReply],
    BY_MODEL[schemas.PwctReply],
    BY_MODEL[schemas.MwctReply],
    BY_MODEL[schemas.SignificanceReply],
)
rows = st.builds(
    schemas.NullRowsShape,
    wavelet=st.sampled_from(["morlet", "paul", "dog"]),
    param=st.floats(1, 10),
    scales=st.lists(st.floats(1, 1e6), min_size=2, max_size=4).map(tuple),
    keep_first=st.just(0),
    keep_end=st.integers(1, 2),
    step=st.just(4),
    length=st.integers(10, 1000).map(lambda steps: 4 * steps),
    record=st.integers(0, 40),
    al1=st.floats(-0.99, 0.99),
    al2=st.floats(-0.99, 0.99),
    others=st.lists(st.floats(-0.99, 0.99), max_size=3).map(tuple),
    statistic=st.sampled_from(["coherence", "partial", "multiple"]),
    centred=st.booleans(),
    boxcar_first=st.integers(-8, 0),
    boxcar_weights=st.lists(st.floats(0, 1), min_size=1, max_size=4).map(tuple),
    exact_ends=st.booleans(),
)
JOBS: dict[type[Message], Strategy] = {
    **task_strategies,
    schemas.JobTasks: st.builds(schemas.JobTasks, tasks=tasks),
    schemas.JobSubmit: st.builds(
        schemas.JobSubmit,
        job_id=maybe(names),
        name=maybe(texts),
        tasks=tasks,
        encoding=st.sampled_from(["msgpack", "json"]),
    )
    | st.builds(schemas.JobSubmit, tasks_object=objects),
    schemas.JobSubmitted: st.builds(
        schemas.JobSubmitted, job_id=names, status=statuses, tasks_count=positive_counts
    ),
    schemas.JobGet: st.builds(schemas.JobGet, job_id=names, results=st.booleans()),
    schemas.JobCancel: st.builds(schemas.JobCancel, job_id=names),
    schemas.JobRetry: st.builds(schemas.JobRetry, job_id=names),
    schemas.JobList: st.builds(schemas.JobList, status=maybe(statuses), limit=st.integers(1, 1000)),
    schemas.JobState: states,
    schemas.JobListing: st.builds(schemas.JobListing, jobs=st.lists(states, max_size=2).map(tuple)),
    schemas.JobProgress: st.builds(schemas.JobProgress, t_ns=counts, **how_far),
    schemas.JobOutcome: st.builds(
        schemas.JobOutcome, status=st.just("done"), result=task_replies, **outcome
    )
    | st.builds(schemas.JobOutcome, status=st.just("done"), object=objects, **outcome)
    | st.builds(schemas.JobOutcome, status=st.just("failed"), error=problems, **outcome),
    job.JobWork: st.builds(
        job.JobWork,
        job_id=names,
        attempt=positive_counts,
        work=expansions
        | st.builds(job.QueuedTask, task_id=task_ids, request=any_task, replaces=counts),
    ),
    job.JobRecord: st.builds(
        job.JobRecord,
        job_id=names,
        name=maybe(texts),
        digest=hashes,
        tasks_count=positive_counts,
        tasks=objects,
        created_ns=counts,
        started_ns=maybe(counts),
        attempt=positive_counts,
        retried_seq=counts,
        submitted_by=maybe(texts),
        results_bytes=counts,
        summary=maybe(summaries),
    ),
    schemas.SimulateRequest: st.builds(
        schemas.SimulateRequest,
        algorithm=positive_counts,
        rows=rows,
        seed=st.from_regex("[0-9]{1,40}", fullmatch=True),
        tasks=st.lists(
            st.builds(
                schemas.SimulationTask,
                pairs=st.integers(1, 100_000),
                octave=st.integers(0, 62),
                chunk=counts,
            ),
            min_size=1,
            max_size=3,
        ).map(tuple),
    ),
    schemas.SimulateReply: st.builds(
        schemas.SimulateReply, histograms=arrays(("<i4",), st.tuples(lengths, lengths))
    ),
}
BY_MODEL.update(JOBS)


estimate_times = st.builds(schemas.EstimateTimes, received=counts, sent=counts)


@st.composite
def estimated(draw: st.DrawFn) -> schemas.AnalysisSpec:
    return schemas.AnalysisSpec(
        name=draw(names),
        op="cwt",
        channels=tuple(draw(st.lists(names, min_size=1, max_size=3, unique=True))),
        fmin_hz=1,
        fmax_hz=8,
        hop_s=1,
        quantity="power",
        provisional=schemas.ProvisionalSpec(delay_s=draw(st.floats(0, 1))),
    )


@st.composite
def newest_samples(draw: st.DrawFn) -> schemas.NewestSamples:
    spec = draw(estimated())
    return schemas.NewestSamples(
        stream=draw(names),
        epoch=draw(epochs),
        analysis=spec,
        fs_hz=draw(rates),
        end=draw(positive_counts),
        samples=draw(arrays(SAMPLES, st.tuples(lengths, st.just(len(spec.channels))))),
        states=tuple(draw(st.lists(maybe(st.binary(max_size=9)), max_size=3))),
        t_ns=draw(maybe(counts)),
        times_ns=draw(estimate_times),
    )


@st.composite
def fit_requests(draw: st.DrawFn) -> schemas.FitRequest:
    spec = draw(estimated())
    return schemas.FitRequest(
        analysis=spec,
        fs_hz=draw(rates),
        octave=draw(st.integers(0, 62)),
        end=draw(positive_counts),
        samples=draw(arrays(SAMPLES, st.tuples(lengths, st.just(len(spec.channels))))),
        state=draw(maybe(st.binary(max_size=9))),
    )


@st.composite
def estimates(draw: st.DrawFn) -> schemas.ProvisionalEstimate:
    n, k = draw(lengths), draw(st.integers(1, 5))
    matrix = arrays(("<f4", "<f8"), st.just((n, k)))
    return schemas.ProvisionalEstimate(
        stream=draw(names),
        epoch=draw(epochs),
        analysis=draw(names),
        channels=tuple(draw(st.lists(names, min_size=n, max_size=n, unique=True))),
        fs_hz=draw(rates),
        newest_sample=draw(counts),
        t_ns=draw(maybe(counts)),
        freqs_hz=draw(arrays(("<f4", "<f8"), st.just((k,)))),
        delay_s=draw(matrix),
        values=draw(maybe(arrays(("<c8", "<c16"), st.just((n, k))))),
        phase=draw(maybe(matrix)),
        std=draw(matrix),
        rms=draw(matrix),
        octaves=(
            schemas.OctaveRows(
                octave=draw(st.integers(0, 62)),
                n=k,
                tile=draw(positive_counts),
                fitted=draw(maybe(counts)),
            ),
        ),
        spec_hashes=tuple(draw(st.lists(hashes, min_size=n, max_size=n))),
        worker=draw(texts),
        times_ns=draw(estimate_times),
    )


BY_MODEL[schemas.NewestSamples] = newest_samples()
BY_MODEL[schemas.ProvisionalEstimate] = estimates()
BY_MODEL[schemas.FitRequest] = fit_requests()
BY_MODEL[schemas.FitReply] = st.builds(
    schemas.FitReply,
    state=st.binary(max_size=9),
    calibration=st.lists(
        st.builds(
            schemas.OctaveCalibration,
            compared=counts,
            coverage=st.dictionaries(names, st.floats(0, 1), max_size=2),
            scale=st.dictionaries(names, rates, max_size=2),
        ),
        max_size=2,
    ).map(tuple),
)

messages = st.sampled_from(list(BY_MODEL)).flatmap(BY_MODEL.__getitem__)
