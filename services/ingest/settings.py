"""Settings of ingest."""

from __future__ import annotations

from services.runtime.settings import ServiceSettings

__all__ = ["IngestSettings"]


class IngestSettings(ServiceSettings):
    """Ingest needs nothing beyond what every service reads."""
