"""Settings from the environment."""

from __future__ import annotations

import pytest

from cwt_compute.settings import ComputeSettings
from cwt_gateway.settings import GatewaySettings
from cwt_hwbridge.settings import HwBridgeSettings
from cwt_ingest.settings import IngestSettings
from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.settings import ServiceSettings, SettingsError, load_settings
from tests.variables import variables

KINDS: list[type[ServiceSettings]] = [
    IngestSettings,
    ComputeSettings,
    HwBridgeSettings,
    GatewaySettings,
]


@pytest.mark.parametrize("kind", KINDS)
def test_without_any_variable_the_defaults_hold(kind: type[ServiceSettings]) -> None:
    assert load_settings(kind).nats.url == "nats://127.0.0.1:4222"


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
    assert all(variable.description for variable in variables(kind).values())


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


def test_error_hides_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CWT_NATS_URL", "nats://user:hunter2@h")
    monkeypatch.setenv("CWT_NATS_CREDS", "-----BEGIN NATS USER JWT-----")
    with pytest.raises(SettingsError, match="CWT_NATS_CREDS") as caught:
        load_settings(ServiceSettings)
    assert "BEGIN" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_every_field_of_the_connection_has_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWT_NATS_USER", "device")
    monkeypatch.setenv("CWT_NATS_PASSWORD_FILE", "/run/secrets/device")
    monkeypatch.setenv("CWT_NATS_INBOX_PREFIX", "_INBOX.device")
    monkeypatch.setenv("CWT_NATS_DOMAIN", "copies")
    assert load_settings(IngestSettings).nats == ConnectSettings(
        user="device",
        password_file="/run/secrets/device",
        inbox_prefix="_INBOX.device",
        domain="copies",
    )


def test_foreign_and_empty_variables_of_the_connection_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kubernetes sets variables of this kind where a service is called cwt-nats."""
    monkeypatch.setenv("CWT_NATS_PORT", "tcp://10.0.0.1:4222")
    monkeypatch.setenv("CWT_NATS_CREDS", "")
    assert load_settings(IngestSettings).nats == ConnectSettings()


def test_contradictions_name_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWT_NATS_USER", "device")
    monkeypatch.setenv("CWT_NATS_CREDS", "device.creds")
    monkeypatch.setenv("CWT_DRAIN_S", "-1")
    with pytest.raises(SettingsError) as caught:
        load_settings(IngestSettings)
    contradictions, drain = str(caught.value).splitlines()
    assert contradictions == (
        "CWT_NATS_USER needs CWT_NATS_PASSWORD_FILE; CWT_NATS_USER and CWT_NATS_CREDS each name a "
        "user: set only one of them"
    )
    assert drain.startswith("CWT_DRAIN_S")
