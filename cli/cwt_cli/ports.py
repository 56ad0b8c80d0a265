"""Choose and check the ports of the server and the gateway before they start."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from cwt_cli.faults import USAGE, CommandError
from cwt_runtime.installation import install_hint
from cwt_runtime.urls import is_loopback

__all__ = [
    "DEFAULT_HTTP_PORT",
    "NO_GATEWAY",
    "HttpAddress",
    "check_host",
    "check_port",
    "http_address",
    "server_names",
]

#: `CWT_HTTP_PORT` of the gateway.
DEFAULT_HTTP_PORT = 8000
LOOPBACK = "127.0.0.1"
#: Addresses for all interfaces of a machine, including loopback.
WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - recognised, not listened on
#: Hint shown if the gateway is not installed.
NO_GATEWAY = f"Page:    not installed; {install_hint('gateway')}"
#: The distributions of the extra `gateway`.
GATEWAY_NEEDS = ("fastapi", "fastapi-offline", "PyJWT", "uvicorn", "websockets")


@dataclass(frozen=True, kw_only=True)
class HttpAddress:
    """Address on which the gateway listens."""

    host: str = LOOPBACK
    port: int
    #: The listening socket, which gateways inherit; None: each gateway opens its own.
    listening: socket.socket | None = field(default=None, compare=False, repr=False)

    @property
    def origin(self) -> str:
        """The gateway's URL for programs on this machine."""
        host = LOOPBACK if self.host in WILDCARDS else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def close(self) -> None:
        """Close this process's socket; a gateway that inherited it goes on listening."""
        if self.listening is not None:
            self.listening.close()

    @property
    def page(self) -> str:
        """URL of the page."""
        return f"{self.origin}/live"


def http_address(port: int, *, or_any: bool = False) -> HttpAddress | None:
    """Return an address for the gateway, or None if the gateway is not installed.

    Parameters
    ----------
    port
        The port; 0 and -1 mean any free one. It is chosen here and not by the gateway, so that the
        page keeps its address when the gateway is restarted. This process listens from now on, so
        no other program can take the port before the gateway starts.
    or_any
        Whether to use any free port if `port` is taken.

    Raises
    ------
    CommandError
        The port is taken, or `CWT_HTTP_HOST` is not an address of this machine.
    """
    if not all(map(_installed, GATEWAY_NEEDS)):
        return None
    host = os.environ.get("CWT_HTTP_HOST") or LOOPBACK
    try:
        return _listen(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise _unusable(host, port, error) from None
        if not or_any:
            raise CommandError(
                f"port {port} on {host} is in use, perhaps by the gateway of another `pycwt-mod "
                "up`: choose another port with --http-port, or any free one with --http-port -1"
            ) from None
    return _listen(host, 0)


def server_names(host: str) -> tuple[str, ...]:
    """Return the names and addresses for the certificate of a server on `host`."""
    names = ("localhost", LOOPBACK, "::1", *filter(str.isascii, (socket.gethostname(),)))
    return names if host in WILDCARDS else (*names, host)


def check_host(host: str, *, insecure: bool) -> None:
    """Raise a `CommandError` if other machines could use a server without users."""
    if not (insecure or is_loopback(host)):
        raise CommandError(
            f"--host {host} can be reached from other machines, and the server that `up` starts "
            "has no users: anyone there could publish, and read and delete all stored data. "
            "Give it users with --secure DIR, or add --insecure if a firewall protects it",
            USAGE,
        )


def check_port(host: str, port: int) -> None:
    """Raise a `CommandError` if a NATS server cannot listen on this address."""
    if port <= 0:
        return
    try:
        _bound(host, port).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(
                f"port {port} on {host} is in use: if a NATS server runs there, use it with "
                f"CWT_NATS_URL=nats://{host}:{port}; otherwise choose another port with --port"
            ) from None
        raise _unusable(host, port, error) from None


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _listen(host: str, port: int) -> HttpAddress:
    listening = _bound(host, port)
    try:
        # Of two sockets bound to one port, only one can listen.
        listening.listen()
    except OSError:
        listening.close()
        raise
    return HttpAddress(host=host, port=listening.getsockname()[1], listening=listening)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, max(port, 0)))
    except OSError:
        bound.close()
        raise
    return bound


def _unusable(host: str, port: int, error: OSError) -> CommandError:
    return CommandError(f"cannot listen on {host}:{port}: {error.strerror or error}", USAGE)
