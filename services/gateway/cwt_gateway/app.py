"""Run the gateway on the bus: the application, and its HTTP server."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from math import ceil
from pathlib import Path

import anyio
import anyio.to_thread
import uvicorn
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as AsgiMessage

from cwt_gateway import (
    exports,
    jobs,
    log_pages,
    markers,
    openapi,
    page,
    recordings,
    service,
    sessions,
    stream_socket,
    streams,
    wavelet,
    wct_socket,
)
from cwt_gateway.authentication import KeyGuard
from cwt_gateway.bus_users import BusUsers
from cwt_gateway.caller import Caller
from cwt_gateway.guards import BodyGuard, FaultGuard, HostGuard, OriginGuard
from cwt_gateway.http_protocol import HttpProtocol
from cwt_gateway.keys import KeyRing
from cwt_gateway.owned_streams import remove_orphans
from cwt_gateway.problems import handle_problems
from cwt_gateway.rates import AddressGuard, RateLimits
from cwt_gateway.reply_budget import ReplyGuard
from cwt_gateway.sessions import Sessions
from cwt_gateway.settings import GatewaySettings
from cwt_gateway.sharing import Sharing
from cwt_gateway.socket_protocol import SocketProtocol
from cwt_gateway.sockets import SEND_TIMEOUT_S
from cwt_gateway.uploads import Uploads
from cwt_runtime.bus import Bus
from cwt_runtime.process.lifecycle import DISTRIBUTION, Context, Stop
from cwt_runtime.rpc.micro import serve_endpoints
from cwt_runtime.telemetry.logs import Log
from cwt_runtime.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS
from pycwt_client import Client
from pycwt_client.chunk_messages import new_nonce

__all__ = ["documented_app", "make_app", "serve", "server_config"]

TITLE = "PyCWT-mod REST API"
SUMMARY = "Wavelet analysis of live and recorded signals"
#: Routers, in the order of the documentation.
ROUTERS = (
    wavelet.router,
    jobs.router,
    streams.router,
    markers.router,
    recordings.router,
    log_pages.router,
    exports.router,
    service.router,
    sessions.router,
    page.router,
)
SOCKETS = (stream_socket.router, wct_socket.router)
#: Methods of the routes, and of the preflight requests of browsers.
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
#: Response headers that pages of allowed origins may read.
EXPOSED_HEADERS = (
    "Content-Disposition",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    exports.WINDOWS_WAITING,
)
#: Open files in addition to connections: the bus, the log, uploads that are being read.
OTHER_FILES = 200
#: Maximum length of the accept queue.
BACKLOG = 512
#: Part of the drain time for requests in flight.
FLUSH_S = 1.0


async def serve(context: Context, settings: GatewaySettings) -> None:
    """Serve HTTP until asked to stop."""
    async with anyio.create_task_group() as background:
        app = make_app(context.bus, settings, log=context.log)
        app.state.background = background
        app.state.stop = context.stop
        app.state.gateway_id = context.identity.id
        await anyio.to_thread.run_sync(app.openapi)
        if settings.http_users is not None:
            await background.start(app.state.keys.follow, context.bus.log)
        allow_files(HttpProtocol.max_connections + OTHER_FILES)
        listening = (
            listen(settings.http_host, settings.http_port)
            if settings.http_socket is None
            else socket.socket(fileno=os.dup(settings.http_socket))
        )
        with listening:
            server = _Server(server_config(app, settings, context.bus))
            prefixes = settings.reply_prefixes
            async with serve_endpoints(
                context.bus, context.identity, (), context.log, reply_prefixes=prefixes
            ):
                background.start_soon(_stop_server, context, server)
                background.start_soon(remove_orphans, app.state.caller.client)
                host, port = listening.getsockname()[:2]
                context.ready(http=f"http://{_in_url(host)}:{port}")
                await server.serve(sockets=[listening])
        background.cancel_scope.cancel()


def make_app(bus: Bus, settings: GatewaySettings, *, log: Log) -> FastAPI:
    """Return the application, using the connection of the gateway to the bus."""
    app = documented_app()
    app.state.caller = Caller(Client(bus))
    app.state.keys = KeyRing()
    app.state.bus_users = None
    if settings.http_users is not None:
        passwords = Path(settings.http_users)
        app.state.bus_users = BusUsers(passwords, settings.nats, log)
        app.state.sessions = Sessions(app.state.keys, passwords)
    app.state.settings = settings
    app.state.log = log
    app.state.channel_counts = streams.ChannelCounts()
    # A chunk that is posted again to this process is not stored again.
    app.state.chunk_nonce = new_nonce()
    app.state.uploads = Uploads()
    app.state.exports = exports.Exports()
    app.state.stop = Stop()
    app.state.sharing = Sharing()
    app.state.send_timeout_s = SEND_TIMEOUT_S
    handle_problems(
        app,
        [each for router in ROUTERS for each in router.routes],
        [each for router in SOCKETS for each in router.routes if isinstance(each, WebSocketRoute)],
    )
    # The middleware that is added last is the first to see a request.
    app.add_middleware(ReplyGuard, held_max_bytes=settings.http_replies_max_bytes)
    app.add_middleware(BodyGuard, held_max_bytes=settings.requests_max_bytes)
    limits = RateLimits(settings.rates)
    if settings.http_users is None:
        app.add_middleware(AddressGuard, limits=limits)
    else:
        app.add_middleware(
            KeyGuard, keys=app.state.keys, sessions=app.state.sessions, limits=limits
        )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )
    app.add_middleware(OriginGuard, origins=settings.cors_origins)
    app.add_middleware(HostGuard, hosts=settings.hosts)
    app.add_middleware(FaultGuard, log=log)
    app.add_middleware(_Measured)
    app.add_middleware(_HeadAsGet)
    return app


def documented_app() -> FastAPI:
    """Return the application with its routes and documentation, but without a bus."""
    app = FastAPIOffline(
        title=TITLE,
        summary=SUMMARY,
        version=service.API_VERSION,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.version = version(DISTRIBUTION)
    for router in (*ROUTERS, *SOCKETS):
        app.include_router(router)
    # It takes 100 ms, and anyone may request it.
    app.openapi = cache(lambda: openapi.document(app, ROUTERS))  # type: ignore[method-assign]
    return app


def allow_files(count: int) -> None:
    """Raise the limit of open files to `count`, or as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises
    ------
    OSError
        The address or the port is not available; the message says what to set.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's algorithm only if the socket states that it is TCP. With the
    # algorithm, every response would wait 40 ms for the client's acknowledgement of its header.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        raise OSError(
            f"cannot listen on {host} port {port}: {reason}; set CWT_HTTP_PORT or CWT_HTTP_HOST"
        ) from None
    return listening


class _Server(uvicorn.Server):
    """A server that leaves signal handling to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_config(app: ASGIApp, settings: GatewaySettings, bus: Bus) -> uvicorn.Config:
    """Return the configuration of the server of `app`."""
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        # Its warnings are about data that clients send.
        log_level="error",
        http=HttpProtocol,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        ws=SocketProtocol,
        ws_max_size=bus.max_message_bytes,
        # The feature takes 316 KiB per connection.
        ws_per_message_deflate=False,
        # `HttpProtocol` closes idle connections, and closes them later than clients do. By default
        # uvicorn closes them after 5 s, as httpx does, which then sends requests on closed ones.
        timeout_keep_alive=ceil(HttpProtocol.request_s),
        timeout_graceful_shutdown=max(1, round(settings.drain_s - FLUSH_S)),
    )


async def _stop_server(context: Context, server: uvicorn.Server) -> None:
    await context.stop.wait()
    server.should_exit = True


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _HeadAsGet:
    """Handle HEAD as GET without a body; a streamed response is not consumed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        with anyio.CancelScope() as body:

            async def send_head(message: AsgiMessage) -> None:
                if not message.get("more_body"):
                    await send(message)
                    return
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                body.cancel()

            await self.app({**scope, "method": "GET"}, receive, send_head)


class _Measured:
    """Count requests and their durations by route."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # None: the client disconnected.
        status: int | None = None
        began = time.perf_counter()

        async def noting(message: AsgiMessage) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            # The route's pattern, not the path, and no method that a client invents, limit the
            # labels.
            route = getattr(scope.get("route"), "path_format", "none")
            method = scope["method"] if scope["method"] in METHODS else "other"
            HTTP_REQUESTS.labels(route, method, str(status)).inc()
            HTTP_SECONDS.labels(route).observe(time.perf_counter() - began)
