"""The data path alone in a simulator: plans go in, results and clocks come out."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cwt_gateware.datapath.datapath import BANK_CLEAR_CLOCKS, MC_CLEAR_CLOCKS, Datapath
from cwt_gateware.datapath.ports import DatapathSignature
from cwt_gateware.sim.engines import Simulator
from cwt_schemas.hwlink import HISTOGRAM_BINS
from cwt_schemas.hwplan import BankPlan, FilterTable, McPlan
from tests.unit.gateware.blocks import Block, Ports, run_block
from tests.unit.gateware.designs import SIMULATOR

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ran:
    """What a job came to; `clocks` are those after the histories were cleared."""

    outputs: list[list[int]]
    made: int
    done: int
    saturations: int
    signature: int
    clocks: int


class Bench:
    """One data path; the methods are to be called from within `simulate`."""

    def __init__(self, ports: Ports, dut: Any) -> None:
        self.ports = ports
        self.dut = dut

    def get(self, port: str) -> Any:
        """Return the value of an output of the data path."""
        return self.ports.get(getattr(self.dut, port))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Run clocks until one at whose beginning the condition held."""
        held = False
        while not held:
            held = condition()
            await self.ports.tick()

    async def load(self, table: FilterTable) -> None:
        write = self.dut.coefficient_write
        for address, (re, im) in enumerate(table.coefficients.tolist()):
            self._set(write, address=address, data={"re": re, "im": im}, enable=1)
            await self.ports.tick()
        self.ports.set(write.enable, 0)
        write = self.dut.filter_write
        for place, entry in table.filters:
            row = {name: getattr(entry, name) for name in ("start", "length", "shift", "step")}
            self._set(write, address=place, data=row, enable=1)
            await self.ports.tick()
        self.ports.set(write.enable, 0)

    async def strobe(self, name: str) -> None:
        self.ports.set(getattr(self.dut, name), 1)
        await self.ports.tick()
        self.ports.set(getattr(self.dut, name), 0)

    async def start_fir(self, plan: BankPlan) -> None:
        self._bank(plan)
        await self.strobe("start_fir")
        await self.ports.tick(BANK_CLEAR_CLOCKS)

    async def fir(
        self, samples: Samples, count: int, offer: Callable[[], bool], take: Callable[[], bool]
    ) -> tuple[list[list[int]], int]:
        """Feed and fetch until `count` outputs have come; `offer` and `take` say when."""
        ports, dut = self.ports, self.dut
        waiting, clocks = list(samples.tolist()), 0
        outputs: list[list[int]] = []
        while len(outputs) < count or waiting:
            offered, taken = bool(waiting) and offer(), take()
            ports.set(dut.samples.valid, offered)
            if offered:
                ports.set(dut.samples.payload, waiting[0])
            ports.set(dut.outputs.ready, taken)
            got = ports.get(dut.outputs.payload)
            if taken and ports.get(dut.outputs.valid):
                outputs.append([got.re, got.im])
            if offered and ports.get(dut.samples.ready):
                waiting.pop(0)
            await ports.tick()
            clocks += 1
        ports.set(dut.samples.valid, 0)
        ports.set(dut.outputs.ready, 0)
        return outputs, clocks

    async def selftest(self, plan: BankPlan, seed: int, samples: int) -> Ran:
        self._bank(plan)
        self.ports.set(self.dut.selftest, {"seed": seed, "samples": samples})
        await self.strobe("start_selftest")
        return await self._finished(BANK_CLEAR_CLOCKS)

    async def begin_mc(self, plan: McPlan) -> None:
        start = plan.start
        names = [name for name in self.dut.mc.shape().members if name != "seed"]
        fields = {name: getattr(start, name) for name in names}
        fields["seed"] = int.from_bytes(start.seed, "little")
        self.ports.set(self.dut.mc, fields)
        await self.strobe("start_mc")

    async def mc(self, plan: McPlan) -> Ran:
        await self.begin_mc(plan)
        return await self._finished(MC_CLEAR_CLOCKS)

    async def counts(self, rows: int) -> list[list[int]]:
        ports, dut = self.ports, self.dut
        ports.set(dut.histogram_count.ready, 1)
        found: list[int] = []
        for address in range(rows * HISTOGRAM_BINS):
            ports.set(dut.histogram_address.payload, address)
            ports.set(dut.histogram_address.valid, 1)
            await self.until(lambda: bool(ports.get(dut.histogram_address.ready)))
            ports.set(dut.histogram_address.valid, 0)
            while not ports.get(dut.histogram_count.valid):
                await ports.tick()
            found.append(ports.get(dut.histogram_count.payload))
            await ports.tick()
        starts = range(0, len(found), HISTOGRAM_BINS)
        return [found[first : first + HISTOGRAM_BINS] for first in starts]

    async def settle(self) -> None:
        """Wait until what was on its way has arrived."""
        await self.ports.tick(64)

    def ran(self, outputs: list[list[int]], clocks: int) -> Ran:
        get, dut = self.ports.get, self.dut
        return Ran(
            outputs=outputs,
            made=get(dut.made),
            done=get(dut.done),
            saturations=get(dut.saturations),
            signature=get(dut.crc),
            clocks=clocks,
        )

    async def _finished(self, clearing: int) -> Ran:
        clocks = -clearing
        while not self.get("finished"):
            await self.ports.tick()
            clocks += 1
        return self.ran([], clocks)

    def _bank(self, plan: BankPlan) -> None:
        fields = {name: getattr(plan, name) for name in ("octaves", "rows", "decimator")}
        self.ports.set(self.dut.bank, fields)

    def _set(self, write: Any, **values: Any) -> None:
        for name, value in values.items():
            self.ports.set(getattr(write, name), value)


def simulate(
    work: Callable[[Bench], Coroutine[Any, Any, None]], simulator: Simulator = SIMULATOR
) -> None:
    """Run `work` on a data path of its own."""
    block = Block("datapath", Datapath, DatapathSignature().flip())
    run_block(block, lambda ports, dut: work(Bench(ports, dut)), simulator)
