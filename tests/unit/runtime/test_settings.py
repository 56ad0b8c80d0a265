"""Settings from the environment."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field

from cwt_compute.settings import ComputeSettings
from cwt_hwbridge.settings import HwBridgeSettings
from cwt_ingest.settings import IngestSettings
from cwt_runtime.settings import ServiceSettings, SettingsError, load_settings

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


@pytest.mark.parametrize(
    "url",
    [
        "host://user:hunter2@h",
        "user:hunter2@h",
        "nats://user:hunter2@h 4222",
        "http://user:hun/ter,hunter2@h,tls://hunter2@h",
    ],
)
def test_a_fault_shows_no_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWT_NATS_URL", url)
    with pytest.raises(SettingsError, match="CWT_NATS_URL") as caught:
        load_settings(IngestSettings)
    assert "h" in str(caught.value)
    assert "user" not in str(caught.value)
    assert "hun" not in str(caught.value)


class PickySettings(ServiceSettings):
    """Refuses every file of credentials."""

    nats_creds: Annotated[str, Field(max_length=1)] = ""


def test_a_fault_shows_nothing_of_what_was_given_as_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CWT_NATS_CREDS", "-----BEGIN NATS USER JWT-----")
    with pytest.raises(SettingsError, match="CWT_NATS_CREDS") as caught:
        load_settings(PickySettings)
    assert "BEGIN" not in str(caught.value)
