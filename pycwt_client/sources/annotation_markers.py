"""Publish the annotations of a recording as markers."""

from __future__ import annotations

import math
from collections import deque

from cwt_runtime.bus.errors import BusError
from cwt_runtime.telemetry.logs import Action
from cwt_schemas.errors import ContractError
from cwt_schemas.message import clipped
from pycwt_client.log import library_log
from pycwt_client.publisher import Publisher
from pycwt_client.sources.source import Annotation, SourceInfo

__all__ = ["AnnotationMarkers"]


class AnnotationMarkers:
    """Publish annotations as soon as their samples are sent.

    Annotations before the first sample have no position and are omitted. If one extends into the
    recording, the rest of it is marked.

    Parameters
    ----------
    info
        The recording, which may have no annotations.
    publisher
        The publisher of its samples.
    """

    def __init__(self, info: SourceInfo, publisher: Publisher) -> None:
        self._fs_hz = info.fs_hz
        self._publisher = publisher
        possible = (each for each in info.annotations if math.isfinite(each.onset_s))
        self._waiting = deque(sorted(possible, key=lambda each: each.onset_s))

    async def mark_until(self, next_sample: float) -> None:
        """Publish the annotations before a position."""
        while self._waiting and self._waiting[0].onset_s * self._fs_hz < next_sample:
            await self._mark(self._waiting.popleft())

    async def _mark(self, annotation: Annotation) -> None:
        first = round(annotation.onset_s * self._fs_hz)
        duration_s = annotation.duration_s if math.isfinite(annotation.duration_s) else 0.0
        if first < 0:
            duration_s += first / self._fs_hz
            if duration_s <= 0:
                return
            first = 0
        try:
            await self._publisher.mark(
                clipped(annotation.text), first_sample=first, duration_s=duration_s or None
            )
        except BusError:  # leaving the publisher raises it
            self._waiting.clear()
        except ContractError as error:  # a damaged recording
            library_log().warning(
                Action.MESSAGE_SKIPPED, stream=self._publisher.stream, detail=error.message
            )
