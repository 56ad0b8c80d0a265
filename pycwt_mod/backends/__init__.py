"""Places where Monte Carlo tasks may run."""

from __future__ import annotations

from pycwt_mod.backends.registry import (
    GROUP,
    Backend,
    BackendInfo,
    BackendType,
    Registration,
    backend_info,
    get_backend,
    list_backends,
    register_backend,
    uses_n_jobs,
)

__all__ = [
    "GROUP",
    "Backend",
    "BackendInfo",
    "BackendType",
    "Registration",
    "backend_info",
    "get_backend",
    "list_backends",
    "register_backend",
    "uses_n_jobs",
]
