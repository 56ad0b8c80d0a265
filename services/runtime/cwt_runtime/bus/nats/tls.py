"""TLS of a connection: the trusted CAs and the client certificate."""

from __future__ import annotations

import ssl
from pathlib import Path

from cwt_runtime.bus.errors import UnusableConnectionError
from cwt_runtime.bus.nats.credentials import read_file
from cwt_runtime.connect_settings import ConnectSettings

__all__ = ["tls_context"]


def tls_context(settings: ConnectSettings) -> ssl.SSLContext | None:
    """Return the TLS context for the settings, or None if they do not require TLS.

    Raises
    ------
    UnusableConnectionError
        A file is missing, unreadable or invalid.
    """
    if not settings.requires_tls:
        return None
    context = _trusting(settings.tls_ca)
    if settings.tls_cert is not None and settings.tls_key is not None:
        read_file(Path(settings.tls_cert), "client certificate")
        read_file(Path(settings.tls_key), "key of the client certificate")
        try:
            # Without this argument OpenSSL would prompt for a password on the terminal.
            context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
        except (ssl.SSLError, ValueError) as error:
            raise UnusableConnectionError(
                f"{settings.tls_cert} and {settings.tls_key} are not a certificate and its key "
                "without a password"
            ) from error
    return context


def _trusting(ca: str | None) -> ssl.SSLContext:
    """Return a context that trusts the CAs in a file, or those of the operating system."""
    if ca is None:
        return ssl.create_default_context()
    text = read_file(Path(ca), "CA file")
    try:
        return ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise UnusableConnectionError(f"the CA file {ca} contains no certificate") from error
