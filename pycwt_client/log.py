"""The client's log: records go to the standard logger ``pycwt_client``, silent by default."""

from __future__ import annotations

import logging

import structlog

from cwt_runtime.telemetry.logs import Log

__all__ = ["library_log"]

_logger = logging.getLogger("pycwt_client")
_logger.addHandler(logging.NullHandler())


def library_log() -> Log:
    """Return a log whose records are visible only if the program configures `logging`."""
    return Log(
        structlog.wrap_logger(
            _logger,
            processors=[structlog.stdlib.render_to_log_kwargs],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            cache_logger_on_first_use=False,
        )
    )
