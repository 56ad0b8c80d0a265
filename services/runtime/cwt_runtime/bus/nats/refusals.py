"""Describe in one sentence why a reachable server refuses the connection."""

from __future__ import annotations

import ssl

from cwt_runtime.bus.nats.client import REFUSAL, NoTlsError
from cwt_runtime.bus.nats.credentials import describe_user
from cwt_runtime.connect_settings import ConnectSettings

__all__ = ["refusal_of"]


def refusal_of(error: Exception, settings: ConnectSettings) -> str | None:
    """Return why the server refuses the user or why TLS fails; None for other errors."""
    address = settings.address
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"cannot verify the certificate of {address}: {error.verify_message}; set "
                "CWT_NATS_TLS_CA to the CA to trust"
            )
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return None  # the server stopped during the handshake: an outage
        case ssl.SSLError():
            return (
                f"TLS with {address} failed: {error}; if the server requires a client certificate, "
                "set CWT_NATS_TLS_CERT and CWT_NATS_TLS_KEY"
            )
        case NoTlsError():
            return f"{address} does not offer TLS, which CWT_NATS_URL or CWT_NATS_TLS_* requires"
    reason = REFUSAL.search(str(error))
    return f"{address} refuses {describe_user(settings)} ({reason[0]})" if reason else None
