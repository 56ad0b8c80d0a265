"""The certificates of a server with accounts."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from cwt_runtime.accounts.certificates import SERVER_LIFE, tls_config, write_certificates

NAMES = ("localhost", "127.0.0.1", "::1")
YEAR = timedelta(days=365)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names_of(path: Path) -> set[str]:
    found = certificate(path).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {str(each.value) for each in found.value}


def test_a_certificate_with_the_names_is_kept(tmp_path: Path) -> None:
    write_certificates(tmp_path, NAMES)
    before = {path: path.read_bytes() for path in (tmp_path / "tls").iterdir()}
    write_certificates(tmp_path, NAMES[:1])
    assert {path: path.read_bytes() for path in (tmp_path / "tls").iterdir()} == before
    certificate(tmp_path / "tls/server.pem").verify_directly_issued_by(
        certificate(tmp_path / "tls/ca.pem")
    )


def test_a_new_name_is_added_and_clients_keep_their_ca(tmp_path: Path) -> None:
    write_certificates(tmp_path, NAMES)
    authority = (tmp_path / "tls/ca.pem").read_bytes()
    write_certificates(tmp_path, ("bus.example",))
    assert names_of(tmp_path / "tls/server.pem") == {*NAMES, "bus.example"}
    assert (tmp_path / "tls/ca.pem").read_bytes() == authority


def test_a_certificate_is_renewed_in_time(tmp_path: Path) -> None:
    write_certificates(tmp_path, NAMES, now=datetime.now(UTC) - YEAR)
    write_certificates(tmp_path, ())
    left = certificate(tmp_path / "tls/server.pem").not_valid_after_utc - datetime.now(UTC)
    assert left > SERVER_LIFE - timedelta(days=1)
    assert names_of(tmp_path / "tls/server.pem") == set(NAMES)


def test_a_certificate_of_another_ca_is_replaced(tmp_path: Path) -> None:
    write_certificates(tmp_path, NAMES)
    for name in ("ca.pem", "ca.key"):
        (tmp_path / "tls" / name).unlink()
    write_certificates(tmp_path, NAMES)
    certificate(tmp_path / "tls/server.pem").verify_directly_issued_by(
        certificate(tmp_path / "tls/ca.pem")
    )


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    write_certificates(tmp_path, NAMES)
    secret = {path.name for path in (tmp_path / "tls").iterdir() if b"PRIVATE" in path.read_bytes()}
    assert secret == {"server.pem", "ca.key"}
    for name in secret:
        assert stat.S_IMODE((tmp_path / "tls" / name).stat().st_mode) == 0o600
    assert str(tmp_path / "tls/server.pem") in tls_config(tmp_path)
