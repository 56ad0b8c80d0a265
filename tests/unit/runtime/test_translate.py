"""Which errors of the server pass."""

from __future__ import annotations

import nats.js.errors
import pytest

from cwt_runtime.bus.nats.translate import bus_error


@pytest.mark.parametrize(
    ("code", "transient"),
    [(10118, True), (10119, True), (10059, False)],  # stream, consumer is offline; not found
)
def test_what_passes_when_a_node_is_back_is_transient(code: int, transient: bool) -> None:
    """A reader in a cluster ended because the node of its new consumer had just died."""
    error = nats.js.errors.APIError(code=500, err_code=code, description="offline")
    assert bus_error(error).transient is transient
