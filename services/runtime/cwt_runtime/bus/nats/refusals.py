"""Why a server that answers is not connected to, as one sentence."""

from __future__ import annotations

import ssl

from cwt_runtime.bus.nats.client import REFUSAL, NoTlsError
from cwt_runtime.bus.nats.credentials import describe_user
from cwt_runtime.connect_settings import ConnectSettings

__all__ = ["refusal_of"]


def refusal_of(error: Exception, settings: ConnectSettings) -> str | None:
    """Return why the user is not let in, or why TLS fails; None if the error is another one."""
    address = settings.address
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"cannot verify the certificate of {address}: {error.verify_message}; set "
                "CWT_NATS_TLS_CA to the CA to trust"
            )
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return None  # the server ended during the handshake: an outage
        case ssl.SSLError():
            return (
                f"TLS with {address} failed: {error}; if the server requires a client certificate, "
                "set CWT_NATS_TLS_CERT and CWT_NATS_TLS_KEY"
            )
        case NoTlsError():
            return f"{address} does not offer TLS, which CWT_NATS_URL or CWT_NATS_TLS_* requires"
    found = REFUSAL.search(str(error))
    return f"{address} refuses {describe_user(settings)} ({found[0]})" if found else None
