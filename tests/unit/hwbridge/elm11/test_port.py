"""The driver over a real serial port: a pseudo-terminal with the twin at its far end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from cwt_cli.twin.terminal import TwinTerminal
from cwt_hwbridge.deadline import CancellableDeadline
from cwt_hwbridge.elm11.checks import trial_plan
from cwt_hwbridge.elm11.driver import Elm11Driver
from cwt_hwbridge.errors import OperationCancelledError
from cwt_hwbridge.model import run_mc
from cwt_hwbridge.serial_link import open_serial_line
from tests.deadlines import SCALE


@pytest.fixture
def port() -> Iterator[str]:
    stop, stopper = os.pipe()
    with TwinTerminal() as terminal:
        thread = threading.Thread(target=terminal.serve, args=[stop])
        thread.start()
        yield terminal.port
        os.write(stopper, b".")
        thread.join(20 * SCALE)
    os.close(stop)
    os.close(stopper)


@pytest.mark.slow
def test_operation_cancelled_during_lua_stops_and_next_one_runs(
    port: str,
) -> None:
    with closing(open_serial_line(port)) as line:
        driver = Elm11Driver(pace_s=0.0)
        driver.open(line, CancellableDeadline(60 * SCALE))
        assert all(
            check.passed for check in driver.selftest(1, CancellableDeadline(60 * SCALE)).checks
        )
        plan = trial_plan(1)
        endless = replace(plan, start=replace(plan.start, instants=10**9))
        held = CancellableDeadline(60 * SCALE)
        # Time for pieces to grow to many samples; wherever it is then, it has to end at once.
        timer = threading.Timer(1.0, held.cancel)
        timer.start()
        with pytest.raises(OperationCancelledError):
            driver.mc(endless, held)
        timer.join()
        found = driver.mc(plan, CancellableDeadline(60 * SCALE))
        np.testing.assert_array_equal(found.histograms, run_mc(plan).histograms)
