"""Where the gateway may listen, and whom it may serve."""

from __future__ import annotations

import pytest

from cwt_gateway.settings import GatewaySettings
from cwt_runtime.settings import SettingsError, load_settings
from cwt_runtime.urls import is_loopback

OTHERS = ["0.0.0.0", "::", "192.0.2.7", "lab.example.org", "localhost.example.org", ""]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_only_this_machine_reaches_loopback(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWT_HTTP_HOST", host)
    assert is_loopback(load_settings(GatewaySettings).http_host)


@pytest.mark.parametrize("host", OTHERS)
def test_public_address_is_refused_unless_insecure(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CWT_HTTP_HOST", host)
    with pytest.raises(SettingsError, match="CWT_HTTP_INSECURE=true"):
        load_settings(GatewaySettings)
    monkeypatch.setenv("CWT_HTTP_INSECURE", "true")
    assert load_settings(GatewaySettings).http_host == host


def test_names_and_origins_are_lists_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWT_HTTP_HOSTS", "Lab, lab.example.org ,")
    monkeypatch.setenv("CWT_HTTP_CORS_ORIGINS", "https://Lab.example.org, http://localhost:3000")
    settings = load_settings(GatewaySettings)
    assert settings.hosts == ("localhost", "lab", "lab.example.org")
    assert settings.cors_origins == ("https://lab.example.org", "http://localhost:3000")


@pytest.mark.parametrize("origin", ["*", "null", "lab.example.org", "https://lab/", "file://"])
def test_invalid_origin_is_refused(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWT_HTTP_CORS_ORIGINS", origin)
    with pytest.raises(SettingsError, match="CWT_HTTP_CORS_ORIGINS"):
        load_settings(GatewaySettings)


def test_proxies_are_addresses_or_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWT_HTTP_PROXIES", "127.0.0.1, 10.1.0.0/16,fd00::1")
    assert load_settings(GatewaySettings).proxies == ("127.0.0.1", "10.1.0.0/16", "fd00::1")


@pytest.mark.parametrize("proxy", ["*", "proxy.example.org", "10.1.0.1/16", "127.0.0.1:80"])
def test_another_proxy_is_refused(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CWT_HTTP_PROXIES", proxy)
    with pytest.raises(SettingsError, match="CWT_HTTP_PROXIES"):
        load_settings(GatewaySettings)
