"""Settings from the environment."""

from __future__ import annotations

import pytest

from services.compute.settings import ComputeSettings
from services.hwbridge.settings import HwBridgeSettings
from services.ingest.settings import IngestSettings
from services.runtime.settings import ServiceSettings, SettingsError, load_settings

KINDS: list[type[ServiceSettings]] = [IngestSettings, ComputeSettings, HwBridgeSettings]


@pytest.mark.parametrize("kind", KINDS)
def test_without_any_variable_the_defaults_hold(kind: type[ServiceSettings]) -> None:
    assert load_settings(kind).nats_url == "nats://127.0.0.1:4222"


def test_a_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWT_COMPUTE_THREADS", "3")
    assert load_settings(ComputeSettings).compute_threads == 3


def test_all_faults_are_reported_together_by_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWT_COMPUTE_THREADS", "none")
    monkeypatch.setenv("CWT_NATS_URL", "http://x")
    monkeypatch.setenv("CWT_DRAIN_S", "-1")
    with pytest.raises(SettingsError) as caught:
        load_settings(ComputeSettings)
    lines = str(caught.value).splitlines()
    assert sorted(line.split(":")[0] for line in lines) == [
        "CWT_COMPUTE_THREADS",
        "CWT_DRAIN_S",
        "CWT_NATS_URL",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_says_what_it_is(kind: type[ServiceSettings]) -> None:
    assert all(field.description for field in kind.model_fields.values())
