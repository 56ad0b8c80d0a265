"""Trace the processing from a chunk to its results with OpenTelemetry (the extra `otel`).

Messages carry the trace context in the header ``traceparent`` (W3C Trace Context). Unless
`start_tracing` was called, `span` does nothing and messages do not get this header.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from cwt_runtime.settings import SettingsError
from cwt_runtime.telemetry.logs import Action, logger

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["span", "start_tracing", "stop_tracing", "trace_headers"]

#: Time limit for exporting the last spans, seconds, so that an unreachable collector does not delay
#: the end of a service.
EXPORT_S = 1.0


class _Tracing:
    """OpenTelemetry tracer, imported only when tracing is enabled."""

    def __init__(self, service: str, instance: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        identity = {"service.name": f"cwt-{service}", "service.instance.id": instance}
        self.provider: TracerProvider = TracerProvider(
            resource=Resource.create(identity), shutdown_on_exit=False
        )
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self.provider.get_tracer("pycwt-mod")
        self._propagator = TraceContextTextMapPropagator()
        self._kind = SpanKind.CONSUMER

    def span(
        self, name: str, headers: Mapping[str, str], attributes: Mapping[str, str | int]
    ) -> AbstractContextManager[object]:
        context: AbstractContextManager[object] = self._tracer.start_as_current_span(
            name,
            context=self._propagator.extract(headers),
            kind=self._kind,
            attributes=attributes,
        )
        return context

    def headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        self._propagator.inject(headers)
        return headers


class _ExportLog(logging.Handler):
    """Log spans that were lost after OpenTelemetry has retried their export."""

    def __init__(self, service: str, instance: str) -> None:
        super().__init__(logging.ERROR)
        self._log = logger(service).bind(instance=instance)

    def emit(self, record: logging.LogRecord) -> None:
        self._log.warning(Action.TRACES_LOST, detail=record.getMessage())


_tracing: _Tracing | None = None


def start_tracing(service: str, instance: str) -> None:
    """Trace this process until `stop_tracing`; ``OTEL_*`` variables name the collector.

    Raises
    ------
    SettingsError
        OpenTelemetry is not installed.
    """
    global _tracing
    try:
        _tracing = _Tracing(service, instance)
    except ImportError as error:
        raise SettingsError(
            f"CWT_TRACES: cannot import OpenTelemetry: {error}; run pip install 'pycwt-mod[otel]'"
        ) from error
    of_driver = logging.getLogger("opentelemetry")
    of_driver.addHandler(_ExportLog(service, instance))
    of_driver.propagate = False


def stop_tracing() -> None:
    """Export the remaining spans within `EXPORT_S` seconds, and drop the rest."""
    global _tracing
    if _tracing is not None:
        last = threading.Thread(target=_tracing.provider.shutdown, daemon=True)
        _tracing = None
        last.start()
        last.join(EXPORT_S)


def span(
    name: str, headers: Mapping[str, str], **attributes: str | int
) -> AbstractContextManager[object]:
    """Return a context that is traced as a span, whose parent is in the headers of a message."""
    return nullcontext() if _tracing is None else _tracing.span(name, headers, attributes)


def trace_headers() -> dict[str, str]:
    """Return the headers that continue the current span in a message; empty without a span."""
    return {} if _tracing is None else _tracing.headers()
