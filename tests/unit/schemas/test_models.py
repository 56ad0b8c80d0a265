"""What a message may be, across its fields."""

import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pytest
from pydantic import ValidationError

import cwt_schemas as schemas
from cwt_schemas import (
    AnalysisSpec,
    CwtRequest,
    Message,
    PersistedMessage,
    SignalChunk,
    StreamDefinition,
    Unprocessable,
    WctRequest,
    XwtRequest,
    limits,
)
from cwt_schemas.codec import ContentType
from cwt_schemas.job import (
    CwtTask,
    Expansion,
    JobRecord,
    QueuedTask,
    SignificanceTask,
    WctTask,
    XwtTask,
)
from cwt_schemas.live import AnalysisWindow
from tests.unit.schemas import strategies

SPEC: dict[str, Any] = {
    "name": "alpha",
    "op": "cwt",
    "channels": ["a"],
    "fmin_hz": 1,
    "fmax_hz": 40,
    "hop_s": 1,
    "quantity": "power",
}
PAIRED: dict[str, Any] = SPEC | {
    "op": "wct",
    "channels": [],
    "pairs": [["a", "b"]],
    "quantity": "coherence",
}
ALL_PAIRS: dict[str, Any] = SPEC | {
    "op": "wct", "channels": [], "pairs": "all", "quantity": "coherence",
}  # fmt: skip
PARTIAL: dict[str, Any] = PAIRED | {"op": "pwct", "given": ["c"]}
MULTIPLE: dict[str, Any] = PAIRED | {
    "op": "mwct", "pairs": [], "target": "a", "given": ["b"],
}  # fmt: skip
STREAM: dict[str, Any] = {
    "name": "eeg",
    "fs_hz": 250,
    "channels": [{"name": "a", "unit": "uV"}, {"name": "b"}],
    "analyses": [SPEC],
}


def decoded(model: type[Message], tree: Mapping[str, Any]) -> Message:
    return schemas.decode(model, orjson.dumps(tree))


def refused_fields(model: type[Message], tree: Mapping[str, Any]) -> tuple[str, ...]:
    with pytest.raises(Unprocessable) as refusal:
        decoded(model, tree)
    return refusal.value.fields


def all_models(base: type[Message] = Message) -> set[type[Message]]:
    below = [all_models(each) for each in base.__subclasses__()]
    return set(base.__subclasses__()).union(*below)


def test_every_message_of_the_vocabulary_has_a_property_test() -> None:
    exported = {getattr(schemas, name) for name in schemas.__all__}
    inside = {
        field.annotation for model in strategies.BY_MODEL for field in model.model_fields.values()
    }
    parts = {
        schemas.AnalysisSpec,
        schemas.Channel,
        schemas.ClockState,
        schemas.ClockStatus,
        schemas.SignificanceSpec,
        schemas.CpuReport,
        schemas.DeviceReport,
        schemas.SerialDevice,
        schemas.ConfiguredPort,
        schemas.PairBand,
        schemas.EstimateTimes,
        schemas.OctaveCalibration,
        schemas.OctaveRows,
        schemas.ProvisionalSpec,
        schemas.ProvisionalStatus,
        schemas.BackendTiming,
        schemas.TaskState,
        schemas.SimulationTask,
    }

    messages = {each for each in exported if isinstance(each, type) and issubclass(each, Message)}

    abstract = {Message, PersistedMessage}
    assert messages - abstract - inside - parts <= set(strategies.BY_MODEL)


@pytest.mark.parametrize("model", sorted(all_models(PersistedMessage), key=repr))
def test_an_unknown_version_is_refused_with_both_versions(model: type[PersistedMessage]) -> None:
    name, _, version = schemas.schema_of(model).partition("/")

    with pytest.raises(Unprocessable) as refusal:
        schemas.decode(model, orjson.dumps({"schema": f"{name}/9"}))

    told = f"schema: cannot read {name} version '9', only version '{version}'"
    assert told in str(refusal.value)


def test_another_kind_of_message_is_refused_with_both_names() -> None:
    with pytest.raises(Unprocessable, match=r"'stream\.event/1'.*'signal\.chunk/1'"):
        decoded(SignalChunk, {"schema": "stream.event/1", "epoch": "e", "samples": [1]})


@pytest.mark.parametrize("wrong", [None, 1, [], {}])
def test_a_schema_that_is_no_text_is_refused(wrong: object) -> None:
    tree = {"schema": wrong, "epoch": "e", "samples": [1]}
    assert refused_fields(SignalChunk, tree) == ("schema",)


def test_a_persisted_message_has_to_say_its_schema_but_a_definition_need_not() -> None:
    assert refused_fields(SignalChunk, {"epoch": "e", "samples": [1]}) == ("schema",)
    assert b'"schema":"stream.definition/1"' in schemas.encode(
        decoded(StreamDefinition, STREAM), schemas.ContentType.JSON
    )


@pytest.mark.parametrize("model", strategies.BY_MODEL, ids=lambda model: model.__name__)
def test_unknown_fields_are_an_error(model: type[Message]) -> None:
    tree = {"schema": schemas.schema_of(model)} if issubclass(model, PersistedMessage) else {}
    assert "surprise" in refused_fields(model, tree | {"surprise": 1})


@pytest.mark.parametrize("wrong", ["1", True, None, [1], {}, "NaN"])
def test_no_number_is_read_from_anything_else(wrong: object) -> None:
    assert refused_fields(CwtRequest, {"data": [1], "dt": wrong}) == ("dt",)


def test_messages_are_frozen() -> None:
    request = CwtRequest(data=np.ones(2), dt=1.0)

    with pytest.raises(ValidationError):
        request.dt = 2.0  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        request.data[0] = 5


def test_messages_are_equal_by_content_and_nan_equals_nan() -> None:
    first, second = (CwtRequest(data=np.array([1, np.nan]), dt=1.0) for _ in range(2))

    assert first == second
    assert first != CwtRequest(data=np.array([1, 2.0]), dt=1.0)
    assert first != CwtRequest(data=np.array([1, np.nan], dtype="f4"), dt=1.0)
    assert first != CwtRequest(data=np.array([1, np.nan]), dt=2.0)
    assert first != "something else"


def test_the_repr_of_a_message_has_the_shape_of_a_long_array_and_no_numbers() -> None:
    text = repr(CwtRequest(data=np.arange(1e5), dt=0.5))
    assert "data=<float64 (100000,)>" in text
    assert "dt=0.5" in text
    assert len(text) < 300
    assert "data=array([0., 1., 2.])" in repr(CwtRequest(data=np.arange(3.0), dt=0.5))


def test_a_definition_is_understood() -> None:
    stream = schemas.decode(StreamDefinition, orjson.dumps(STREAM))

    assert stream.channel_names == ("a", "b")
    assert stream.analysis("alpha") == stream.analyses[0]
    assert stream.analysis("beta") is None
    assert stream.analyses[0].channel_sets == (("a",),)
    assert hash(stream) == hash(schemas.decode(StreamDefinition, orjson.dumps(STREAM)))


def test_all_pairs_are_those_of_all_channels_of_the_stream_unless_some_are_named() -> None:
    channels = [{"name": name} for name in "abc"]
    tree = STREAM | {"channels": channels, "analyses": [ALL_PAIRS]}
    stream = schemas.decode(StreamDefinition, orjson.dumps(tree))
    (spec,) = stream.analyses

    assert spec.channel_sets == (("a", "b"), ("a", "c"), ("b", "c"))
    assert spec.n_sets == 3
    tree["analyses"] = [ALL_PAIRS | {"channels": ["a", "b", "c"]}]
    assert stream.same_as(schemas.decode(StreamDefinition, orjson.dumps(tree)))
    tree["analyses"] = [ALL_PAIRS | {"channels": ["c", "a"]}]
    assert schemas.decode(StreamDefinition, orjson.dumps(tree)).analyses[0].channel_sets == (
        ("c", "a"),
    )
    tree["channels"] = channels[:1]
    tree["analyses"] = [ALL_PAIRS]
    assert refused_fields(StreamDefinition, tree) == ("analyses.alpha.pairs",)


def test_the_hash_of_a_part_of_all_pairs_is_that_of_no_other_part() -> None:
    stream = schemas.decode(StreamDefinition, orjson.dumps(STREAM | {"analyses": [ALL_PAIRS]}))
    spec = stream.analyses[0].model_copy(update={"channels": tuple("abcd")})
    parts = [(0, 6), (0, 3), (3, 3), (0, 2)]
    hashes = {spec.part_hash(fs_hz=250, first_pair=at, n_pairs=n) for at, n in parts}

    assert len(hashes) == 4
    assert spec.part_hash(fs_hz=250, first_pair=0, n_pairs=6) == spec.spec_hash(fs_hz=250)


def test_fields_of_all_pairs_are_left_out_of_other_analyses_for_older_readers() -> None:
    stream = decoded(StreamDefinition, STREAM | {"analyses": [SPEC, PAIRED | {"name": "beta"}]})
    written = orjson.loads(schemas.encode(stream, ContentType.JSON))

    for spec in written["analyses"]:
        assert not {"bands", "decimate", "phase"} & spec.keys()


@pytest.mark.parametrize(
    ("change", "field", "facts"),
    [
        ({"channels": ["c"]}, "analyses.alpha.channels", r"\bc\b"),
        (PAIRED | {"pairs": [["a", "c"]]}, "analyses.alpha.pairs", r"\bc\b"),
        ({"fmax_hz": 126}, "analyses.alpha.fmax_hz", r"\b126\b.*fs_hz = 250\b.*\b125"),
        ({"fmin_hz": 50}, "analyses.0.fmin_hz", r"\b50\b.*fmax_hz = 40"),
        ({"fmin_hz": 40}, "analyses.0.fmin_hz", r"\b40\b.*fmax_hz = 40"),
        ({"quantity": "coherence"}, "analyses.0.quantity", "cwt"),
        (PAIRED | {"quantity": "power"}, "analyses.0.quantity", "wct"),
        ({"channels": []}, "analyses.0.channels", "cwt"),
        ({"pairs": [["a", "b"]]}, "analyses.0.pairs", "cwt.*channels"),
        (PAIRED | {"channels": ["a"]}, "analyses.0.channels", "wct.*pairs"),
        (PAIRED | {"pairs": [["a", "a"]]}, "analyses.0.pairs", "two"),
        (PAIRED | {"pairs": "each"}, "analyses.0.pairs", "list|tuple"),
        (PAIRED | {"pairs": [["a", 1]]}, "analyses.0.pairs.0.1", "string"),
        (PAIRED | {"decimate": 2}, "analyses.0.decimate", "'all'"),
        (PAIRED | {"bands": [[1, 2]]}, "analyses.0.bands", "'all'"),
        (PAIRED | {"phase": True}, "analyses.0.phase", "'all'"),
        (ALL_PAIRS | {"op": "xwt", "quantity": "power"}, "analyses.0.pairs", "only with wct"),
        (ALL_PAIRS | {"channels": ["a"]}, "analyses.0.channels", "at least two"),
        (ALL_PAIRS | {"channels": ["a", "c"]}, "analyses.alpha.channels", r"\bc\b"),
        (ALL_PAIRS | {"bands": [[8, 4]]}, "analyses.0.bands", r"\[8, 4\] must ascend"),
        (ALL_PAIRS | {"bands": [[0.5, 4]]}, "analyses.0.bands", r"\[1, 40\]"),
        (PAIRED | {"pairs": [["a"]]}, "analyses.0.pairs", "two"),
        ({"channels": ["a", "a"]}, "analyses.0.channels", "duplicates"),
        (PARTIAL, "analyses.alpha.given", r"\bc\b"),
        (PARTIAL | {"pairs": [["a", "d"]], "given": ["b"]}, "analyses.alpha.pairs", r"\bd\b"),
        (PARTIAL | {"given": []}, "analyses.0.given", "required for op pwct"),
        (PARTIAL | {"given": ["b"]}, "analyses.0.given", "b is also in"),
        (PARTIAL | {"given": ["c", "c"]}, "analyses.0.given", "duplicates"),
        (PARTIAL | {"target": "c"}, "analyses.0.target", "mwct"),
        (PAIRED | {"given": ["c"]}, "analyses.0.given", "no other"),
        (PAIRED | {"deltaj0": 1}, "analyses.0.deltaj0", "pwct or mwct"),
        (MULTIPLE | {"given": ["c"]}, "analyses.alpha.given", r"\bc\b"),
        (MULTIPLE | {"target": "c"}, "analyses.alpha.target", r"\bc\b"),
        (MULTIPLE | {"target": None}, "analyses.0.target", "required"),
        (MULTIPLE | {"channels": ["a"]}, "analyses.0.channels", "target and given"),
        (MULTIPLE | {"deltaj0": 0}, "analyses.0.deltaj0", "0"),
        (MULTIPLE | {"quantity": "power"}, "analyses.0.quantity", "mwct"),
        ({"param": 0}, "analyses.0.param", "0.*-1"),
        ({"hop_s": 0}, "analyses.0.hop_s", "0"),
        ({"wavelet": "haar"}, "analyses.0.wavelet", "morlet.*paul.*dog"),
        ({"significance": {"level": 1}}, "analyses.0.significance.level", "1"),
    ],
)
def test_an_analysis_that_cannot_be_is_refused_by_name_and_number(
    change: dict[str, Any], field: str, facts: str
) -> None:
    with pytest.raises(Unprocessable) as refusal:
        decoded(StreamDefinition, STREAM | {"analyses": [SPEC | change]})

    assert refusal.value.fields == (field,)
    assert re.search(facts, refusal.value.message)


def test_names_within_a_stream_are_unique() -> None:
    twice = {"channels": [{"name": "a"}, {"name": "a"}]}

    assert refused_fields(StreamDefinition, STREAM | twice) == ("channels",)
    assert refused_fields(StreamDefinition, STREAM | {"analyses": [SPEC, SPEC]}) == ("analyses",)


def test_the_hash_of_an_analysis_names_what_is_computed() -> None:
    spec = AnalysisSpec.model_validate(SPEC)
    wider = AnalysisSpec.model_validate(SPEC | {"channels": ["a", "b"]})
    finer = AnalysisSpec.model_validate(SPEC | {"voices_per_octave": 24})
    of_a = spec.spec_hash(fs_hz=250, channels=("a",))

    assert len(of_a) == 16
    assert of_a == wider.spec_hash(fs_hz=250.0, channels=("a",))
    others = {
        finer.spec_hash(fs_hz=250, channels=("a",)),
        spec.spec_hash(fs_hz=251, channels=("a",)),
        wider.spec_hash(fs_hz=250, channels=("b",)),
    }
    assert len(others | {of_a}) == 4
    assert wider.narrowed(("a",)).spec_hash(fs_hz=250) != wider.spec_hash(fs_hz=250)


def test_the_hash_is_the_same_in_another_process() -> None:
    program = (
        "import sys; from cwt_schemas import StreamDefinition, decode;"
        "stream = decode(StreamDefinition, sys.argv[1].encode());"
        "print(stream.analyses[0].spec_hash(fs_hz=stream.fs_hz))"
    )
    text = orjson.dumps(STREAM).decode()

    out = subprocess.run(
        [sys.executable, "-c", program, text], capture_output=True, text=True, check=True
    ).stdout.strip()

    stream = schemas.decode(StreamDefinition, orjson.dumps(STREAM))
    assert out == stream.analyses[0].spec_hash(fs_hz=stream.fs_hz)


def test_a_window_has_a_column_for_each_channel_of_its_sets_and_no_other() -> None:
    tree = {
        "schema": "window.analysis/1",
        "id": "i",
        "stream": "eeg",
        "epoch": "e",
        "analysis": PAIRED,
        "fs_hz": 250,
        "channels": ["a", "b"],
        "octave": 0,
        "tile": {"first_sample": 0, "n": 5},
        "first_sample": -3,
        "samples": [[1, 2]],
        "spec_hash": "0" * 16,
        "times_ns": {"received": 1, "windowed": 2},
    }

    assert decoded(schemas.AnalysisWindow, tree) is not None
    assert refused_fields(schemas.AnalysisWindow, tree | {"samples": [[1]]}) == ("samples",)
    assert refused_fields(schemas.AnalysisWindow, tree | {"channels": ["b", "c"]}) == ("channels",)
    assert refused_fields(schemas.AnalysisWindow, tree | {"channels": ["a", "a"]}) == ("channels",)


@pytest.mark.parametrize("fs_hz", [1e308, 1e-300])
def test_a_rate_that_no_device_has_is_refused(fs_hz: float) -> None:
    # One was kept once, and whoever counted its samples ended with an overflow, ingest for good.
    tree = {"name": "s", "fs_hz": fs_hz, "channels": [{"name": "x"}], "reorder_s": 60}
    assert refused_fields(schemas.StreamDefinition, tree) == ("fs_hz",)


@pytest.mark.parametrize("field", ["scales_s", "values", "phase", "signif", "mask"])
def test_the_arrays_of_a_result_have_to_fit_together(field: str) -> None:
    tree: dict[str, Any] = {
        "schema": "result.analysis/1",
        "id": "i",
        "stream": "eeg",
        "epoch": "e",
        "analysis": "alpha",
        "op": "cwt",
        "channels": ["a"],
        "octave": 0,
        "freqs_hz": [2, 1],
        "scales_s": [1, 2],
        "t": {"first_sample": 0, "step": 1, "n": 3},
        "values": [[1, 2, 3], [4, 5, 6]],
        "input": {"first_sample": -3, "n_samples": 9},
        "spec_hash": "0" * 16,
        "engine": {"library": "l", "version": "1", "backend": "b", "worker": "w"},
        "times_ns": {"received": 1, "windowed": 2, "computed": 3},
    }

    assert decoded(schemas.AnalysisResult, tree) is not None
    wrong = [1, 1, 1] if field in {"scales_s", "signif"} else [[1], [1]]
    assert refused_fields(schemas.AnalysisResult, tree | {field: wrong}) == (field,)


def test_signals_of_a_pair_have_one_length() -> None:
    tree = {"signal1": [1, 2], "signal2": [1], "dt": 1}

    assert refused_fields(XwtRequest, tree) == ("signal2",)
    assert refused_fields(WctRequest, tree) == ("signal2",)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("dt", 0),
        ("dj", 0),
        ("s0", 0),
        ("s0", -2),
        ("J", -2),
        ("J", limits.MAX_SCALES),
        ("mother", "haar"),
        ("param", 0),
        ("param", -2),
        ("convention", "matlab"),
        ("dtype", "float16"),
    ],
)
def test_a_query_is_checked_before_any_work(field: str, wrong: object) -> None:
    assert refused_fields(CwtRequest, {"data": [1], "dt": 1, field: wrong}) == (field,)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("significance_level", 0), ("significance_level", 1), ("mc_count", 0), ("seed", -1)],
)
def test_a_coherence_query_is_checked_before_any_work(field: str, wrong: object) -> None:
    tree = {"signal1": [1], "signal2": [1], "dt": 1, field: wrong}
    assert refused_fields(WctRequest, tree) == (field,)


def test_lengths_above_the_limits_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"500001.*500000"):
        CwtRequest(data=np.ones(500_001), dt=1.0)
    with pytest.raises(ValidationError, match="1048577 steps"):
        SignalChunk(epoch="e", samples=np.ones(limits.MAX_CHUNK_SAMPLES + 1, "i2"))
    with pytest.raises(ValidationError, match="1025 channels"):
        SignalChunk(epoch="e", samples=np.ones((1, limits.MAX_CHANNELS + 1)))


def test_a_payload_has_to_be_base64_in_json() -> None:
    tree = {
        "schema": "dead.letter/1",
        "where": "compute",
        "subject": "s",
        "reason": "r",
        "deliveries": 1,
        "t_ns": 1,
        "payload_bytes": 1,
        "payload": "not base64!",
    }
    assert refused_fields(schemas.DeadLetter, tree) == ("payload",)


def test_no_stream_can_be_called_as_the_hardware_is() -> None:
    assert refused_fields(StreamDefinition, {"name": "hw", "fs_hz": 1, "channels": [{"name": "a"}]})


#: The fields of messages that services of version 0.1.0 read from queues and buckets.
FIELDS_OF_0_1_0: dict[type[Message], str] = {
    AnalysisSpec: (
        "name op channels pairs wavelet param voices_per_octave fmin_hz fmax_hz hop_s "
        "quantity significance convention"
    ),
    StreamDefinition: (
        "schema name fs_hz channels analyses start_seq reorder_s when_behind stale_after_s"
    ),
    AnalysisWindow: (
        "schema id stream epoch analysis fs_hz channels octave tile first_sample samples "
        "t0_ns t0_raw_ns stale_after_s spec_hash times_ns"
    ),
    Expansion: ("kind name digest tasks_count tasks created_ns encoding start"),
    QueuedTask: ("kind task_id request replaces encoding"),
    JobRecord: (
        "schema job_id name digest tasks_count tasks created_ns encoding started_ns "
        "attempt retried_seq summary"
    ),
    CwtTask: ("mother param convention dtype dt dj s0 J data type"),
    XwtTask: ("mother param convention dtype dt dj s0 J signal1 signal2 significance_level type"),
    WctTask: (
        "method mc_count backend fallback seed mother param convention dtype dt dj s0 J "
        "signal1 signal2 significance_level type"
    ),
    SignificanceTask: (
        "method mc_count backend fallback seed mother param convention dtype al1 al2 dt "
        "dj s0 J significance_level type"
    ),
}


def test_a_message_without_new_options_has_only_fields_that_version_0_1_0_knows() -> None:
    """Services of that version, which an upgrade replaces one by one, reject unknown fields."""
    where = {"bucket": "b", "name": "n", "size": 1, "sha256": "0" * 64}
    job = {"digest": "0" * 16, "tasks_count": 1, "tasks": where, "created_ns": 1}
    pair = {"signal1": [0.0, 1.0], "signal2": [0.0, 1.0], "dt": 1}
    trees: dict[type[Message], dict[str, Any]] = {
        AnalysisSpec: PAIRED,
        StreamDefinition: STREAM,
        AnalysisWindow: {
            "schema": "window.analysis/1", "id": "w", "stream": "s", "epoch": "e",
            "analysis": SPEC, "fs_hz": 250, "channels": ["a"], "octave": 0,
            "tile": {"first_sample": 0, "n": 1}, "first_sample": 0, "samples": [[0.0]],
            "spec_hash": "0" * 16, "times_ns": {"received": 1, "windowed": 1},
        },
        Expansion: job,
        QueuedTask: {"task_id": "0", "request": {"type": "wct", **pair}},
        JobRecord: {"schema": "job.record/1", "job_id": "j", **job},
        CwtTask: {"type": "cwt", "data": [0.0, 1.0], "dt": 1},
        XwtTask: {"type": "xwt", **pair},
        WctTask: {"type": "wct", **pair},
        SignificanceTask: {
            "type": "significance", "al1": 0, "al2": 0, "dt": 1, "dj": 1, "s0": 2, "J": 1,
        },
    }  # fmt: skip
    assert trees.keys() == FIELDS_OF_0_1_0.keys()
    for model, tree in trees.items():
        fields = orjson.loads(schemas.encode(decoded(model, tree), ContentType.JSON))
        assert set(fields) <= set(FIELDS_OF_0_1_0[model].split()), model
