"""Certificates for a server with accounts: a private CA, and the server's certificate.

``FOLDER/tls`` contains ``ca.pem``, which clients trust; ``server.pem``, the certificate of the
server with its key; and ``ca.key``, to renew it. Only their owner can read the files with keys.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from cwt_runtime.accounts.folder import authority_file
from cwt_runtime.accounts.secret_file import write_secret

__all__ = ["tls_config", "write_certificates"]

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey

CA_LIFE = timedelta(days=3650)
#: Maximum validity that browsers accept.
SERVER_LIFE = timedelta(days=397)
#: Remaining validity below which the certificate of the server is renewed.
RENEWAL = timedelta(days=60)
#: Tolerance for slow clocks of clients.
SKEW = timedelta(hours=1)

_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False,
    data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
    encipher_only=False, decipher_only=False,
)  # fmt: skip


def tls_config(folder: Path) -> str:
    """Return the TLS section of the server's configuration."""
    path = json.dumps(str(_server_file(folder).absolute()))
    return f"tls {{ cert_file: {path}, key_file: {path} }}"


def write_certificates(folder: Path, names: Iterable[str], *, now: datetime | None = None) -> None:
    """Create a CA, if there is none, and a certificate for a server with these names.

    An existing certificate is kept if it contains the names and does not expire soon. A new one
    also contains the names of the old one.

    Parameters
    ----------
    names
        Host names and addresses that clients use for the server.
    now
        Time of issue; by default the current time.

    Raises
    ------
    ValueError
        A file in the folder is invalid.
    """
    now = now or datetime.now(UTC)
    authority_file(folder).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not authority_file(folder).exists():
        _write_authority(folder, now)
    authority = x509.load_pem_x509_certificate(authority_file(folder).read_bytes())
    known: frozenset[str] = frozenset()
    requested = frozenset(names)
    if _server_file(folder).exists():
        present = x509.load_pem_x509_certificate(_server_file(folder).read_bytes())
        if _is_signed_by(present, authority):
            known = _names_of(present)
            lasts = present.not_valid_after_utc - now > RENEWAL
            if lasts and requested <= known:
                return
    _write_server(folder, authority, sorted(requested | known), now)


def _server_file(folder: Path) -> Path:
    return folder / "tls" / "server.pem"


def _authority_key_file(folder: Path) -> Path:
    return folder / "tls" / "ca.key"


def _write_authority(folder: Path, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pycwt-mod private CA")])
    certificate = (
        _builder(name, name, key)
        .not_valid_before(now - SKEW)
        .not_valid_after(now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .sign(key, hashes.SHA256())
    )
    write_secret(_authority_key_file(folder), _pem_of(key))
    authority_file(folder).write_bytes(certificate.public_bytes(Encoding.PEM))


def _write_server(
    folder: Path, authority: x509.Certificate, names: Iterable[str], now: datetime
) -> None:
    signing_key = load_pem_private_key(_authority_key_file(folder).read_bytes(), password=None)
    if not isinstance(signing_key, PrivateKey):
        raise ValueError(f"{_authority_key_file(folder)} is not a key of an elliptic curve")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nats-server")])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key())
    certificate = (
        _builder(subject, authority.subject, key)
        .not_valid_before(now - SKEW)
        .not_valid_after(now + SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(signing_key, hashes.SHA256())
    )
    text = certificate.public_bytes(Encoding.PEM).decode() + _pem_of(key)
    write_secret(_server_file(folder), text)


def _builder(subject: x509.Name, issuer: x509.Name, key: PrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
    )


def _pem_of(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _general_name(name: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


def _names_of(certificate: x509.Certificate) -> frozenset[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    hosts = extension.value.get_values_for_type(x509.DNSName)
    return frozenset((*map(str, addresses), *hosts))


def _is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
