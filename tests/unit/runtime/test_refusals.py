"""What is a refusal, which another try a moment later does not change, and what is an outage."""

from __future__ import annotations

import ssl

import nats.errors
import pytest

from cwt_runtime.bus.nats.client import NoTlsError
from cwt_runtime.bus.nats.refusals import refusal_of
from cwt_runtime.connect_settings import ConnectSettings

SETTINGS = ConnectSettings(url="nats://user:hunter2@h:4222")


@pytest.mark.parametrize(
    "error",
    [
        nats.errors.Error("nats: 'Authorization Violation'"),
        nats.errors.Error("nats: 'user authentication expired'"),
        nats.errors.Error("nats: 'User Authentication Revoked'"),
        nats.errors.Error("nats: 'Account Authentication Expired'"),
        ssl.SSLError(1, "tlsv13 alert certificate required"),
        NoTlsError("none"),
    ],
)
def test_a_refusal_names_the_server_and_no_secret(error: Exception) -> None:
    refusal = refusal_of(error, SETTINGS)
    assert refusal is not None
    assert "nats://h:4222" in refusal
    assert "hunter2" not in refusal
    assert "None" not in refusal


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "Connection refused"),
        nats.errors.Error("nats: 'Authentication Timeout'"),
        nats.errors.Error("nats: 'maximum connections exceeded'"),
        nats.errors.StaleConnectionError(),
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
        TimeoutError(),
    ],
)
def test_an_outage_is_not_a_refusal(error: Exception) -> None:
    assert refusal_of(error, SETTINGS) is None
