"""A trace that a device begins with a chunk leads to the results, across processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cwt_schemas import storage, subjects
from cwt_schemas.headers import CHANNELS, CONTENT_TYPE, DTYPE, EPOCH, FINAL, FIRST_SAMPLE
from pycwt_client import Client
from tests.deadlines import fail_after
from tests.system.conftest import POLL_S, running_system
from tests.system.scenario import STREAM, definition, signal

pytestmark = [pytest.mark.anyio, pytest.mark.system]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
DEVICE = "00f067aa0ba902b7"


class Collector:
    """Receives spans as OTLP over HTTP, as a collector does."""

    def __init__(self) -> None:
        #: Name, service and parent of each span of the trace, by its id.
        self.spans: dict[str, tuple[str, str, str]] = {}
        self.url = ""

    def take(self, body: bytes) -> None:
        for of_service in ExportTraceServiceRequest.FromString(body).resource_spans:
            attributes = {
                each.key: each.value.string_value for each in of_service.resource.attributes
            }
            for scope in of_service.scope_spans:
                for span in scope.spans:
                    if span.trace_id.hex() == TRACE:
                        about = (span.name, attributes["service.name"], span.parent_span_id.hex())
                        self.spans[span.span_id.hex()] = about


@contextmanager
def collector() -> Iterator[Collector]:
    received = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()


async def test_a_trace_leads_from_a_chunk_to_its_results(tmp_path: Path) -> None:
    with collector() as received:
        environment = {
            "CWT_TRACES": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        async with running_system(tmp_path, workers=1, environment=environment) as system:
            await Client(system.bus).put_stream(definition())
            samples = signal(1000).astype("<f4")
            headers = {
                CONTENT_TYPE: "application/octet-stream", DTYPE: "<f4", CHANNELS: "2",
                EPOCH: "e", FIRST_SAMPLE: "0", FINAL: "1",
                "traceparent": f"00-{TRACE}-{DEVICE}-01",
            }  # fmt: skip
            await system.bus.log.store(
                subjects.signal(STREAM), np.ascontiguousarray(samples).tobytes(),
                msg_id="e/0", headers=headers,
            )  # fmt: skip
            async with system.bus.log.replay(storage.RESULTS, (subjects.RESULTS,)) as results:
                with fail_after(60):
                    parent = (await anext(results)).message.headers["traceparent"]
            version, trace, computed, flags = parent.split("-")
            assert (version, trace, flags) == ("00", TRACE, "01")
            with fail_after(30):
                while computed not in received.spans:  # noqa: ASYNC110 - of other processes
                    await anyio.sleep(POLL_S)
                name, service, taken = received.spans[computed]
                assert (name, service) == ("compute window", "cwt-compute")
                while taken not in received.spans:  # noqa: ASYNC110
                    await anyio.sleep(POLL_S)
            assert received.spans[taken] == ("take chunk", "cwt-ingest", DEVICE)
