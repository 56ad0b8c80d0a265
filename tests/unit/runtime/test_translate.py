"""Which errors of the server pass."""

from __future__ import annotations

import nats.js.errors
import pytest

from cwt_runtime.bus.nats.translate import bus_error


@pytest.mark.parametrize(
    ("code", "transient"),
    [
        (10118, True),  # the stream is offline
        (10119, True),  # the consumer is offline
        (10194, True),  # the stream is offline, with a reason
        (10195, True),  # the consumer is offline, with a reason
        (10158, True),  # a message with this id is in process
        (10005, True),  # no suitable peers: the nodes have not found each other yet
        (10059, False),  # not found
    ],
)
def test_errors_of_a_cluster_that_pass_by_themselves_are_transient(
    code: int, transient: bool
) -> None:
    """A reader ended because the node of its new consumer had just died, and a publisher because
    its message was still being replicated when it was sent again."""
    error = nats.js.errors.APIError(code=500, err_code=code, description="offline")
    assert bus_error(error).transient is transient
