"""Serve metrics and health checks over HTTP, for Prometheus and orchestrators.

Threads serve the requests, so the checks also respond, and fail, while the event loop is stuck.
"""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["serve_monitoring"]


@asynccontextmanager
async def serve_monitoring(
    host: str, port: int | None, checks: Mapping[str, Callable[[], str]]
) -> AsyncIterator[None]:
    """Serve ``/metrics`` and the paths of `checks` while the context is open.

    Nothing is served if `port` is None. A check is called in a thread. It returns a problem, which
    is reported with status 503, or an empty string.
    """
    if port is None:
        yield
        return
    server = make_server(host, port, _application(checks), _Server, _SilentHandler)
    thread = threading.Thread(target=server.serve_forever, name="monitoring", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _application(checks: Mapping[str, Callable[[], str]]) -> WSGIApplication:
    metrics: WSGIApplication = make_wsgi_app()

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        check = checks.get(environ["PATH_INFO"])
        if check is None:
            return metrics(environ, start_response)
        problem = check()
        status = "503 Service Unavailable" if problem else "200 OK"
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps({"status": problem or "ok"}).encode()]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    """HTTP server with a thread per request, so that a slow client does not delay others."""

    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Do not log requests."""
