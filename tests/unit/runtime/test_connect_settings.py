"""How to connect: what contradicts itself, and what is shown of it."""

from __future__ import annotations

from typing import Any

import pytest

from cwt_runtime.connect_settings import ConnectSettings


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"user": "a"}, "`user` needs `password_file`"),
        ({"password_file": "p"}, "`password_file` needs `user`"),
        ({"user": "a", "password_file": "p", "creds": "c"}, "`user` and `creds`"),
        ({"token_file": "t", "nkey_seed_file": "n"}, "`token_file` and `nkey_seed_file`"),
        ({"url": "nats://token@h:1,nats://i:2", "creds": "c"}, "`url` with a user and `creds`"),
        ({"tls_cert": "c"}, "`tls_cert` needs `tls_key`"),
        ({"tls_key": "k", "tls_ca": "a"}, "`tls_key` needs `tls_cert`"),
        ({"inbox_prefix": "_INBOX."}, "`inbox_prefix` .*'_INBOX.'"),
        ({"inbox_prefix": "a.*"}, "`inbox_prefix`"),
        ({"inbox_prefix": ""}, "`inbox_prefix`"),
        ({"domain": "a.b"}, "`domain` .*'a.b'"),
        ({"domain": ""}, "`domain`"),
    ],
)
def test_contradicting_fields_are_named(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        ConnectSettings(**given)


def test_displayed_settings_hide_password() -> None:
    settings = ConnectSettings(url="nats://device:hunter2@h:4222,nats://token@i:4222")
    assert settings.address == "nats://h:4222,nats://i:4222"
    assert repr(settings) == "ConnectSettings(url='nats://h:4222,nats://i:4222')"
    assert str(settings) == repr(settings)


@pytest.mark.parametrize(
    ("given", "required"),
    [
        ({}, False),
        ({"url": "nats://h:1,tls://i:1"}, True),
        ({"tls_ca": "a"}, True),
        ({"tls_first": True}, True),
    ],
)
def test_tls_is_required_by_the_url_or_by_any_of_its_settings(
    given: dict[str, Any], required: bool
) -> None:
    assert ConnectSettings(**given).requires_tls == required
