"""The account ``COPIES``: copies of the streams that readers and analysts may read."""

from __future__ import annotations

from typing import Final

from cwt_schemas import storage

__all__ = ["COPIED", "COPIES_DOMAIN", "COPY_DELIVERY", "ORIGIN_API"]

#: The domain under which other accounts reach the JetStream of ``COPIES``.
COPIES_DOMAIN: Final = "copies"
#: Prefix under which the server reaches the JetStream of ``CWT`` from ``COPIES``.
ORIGIN_API: Final = "$JS.cwt.API"
#: Prefix of the subjects on which messages are copied from ``CWT`` to ``COPIES``.
COPY_DELIVERY: Final = "cwt.copy"
#: The streams that are copied, each under its own name.
COPIED: Final = (
    storage.RESULTS,
    storage.JOB_RESULTS,
    f"OBJ_{storage.OBJECTS}",
    f"OBJ_{storage.REPLIES}",
)
