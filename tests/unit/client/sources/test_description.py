"""A description has the faults that were put into a recording, however its pieces are cut."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cwt_schemas.stream import Channel
from pycwt_client.chunks import Piece
from pycwt_client.sources import Description, SourceInfo, describe
from pycwt_client.sources.description import ChannelDescription, Gap, _Summary

FS = 100.0
NAMES = ("good", "flat", "clipped", "holes", "dead", "absent", "trigger")
INFO = SourceInfo(
    name="f", channels=tuple(Channel(name=name) for name in NAMES), fs_hz=FS, n_samples=None
)


def recording() -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((2000, len(NAMES)))
    samples[500:800, 1] = 0.25
    samples[:, 2] = np.clip(3 * np.sin(np.arange(2000) / 20), -2.75, 2.75)
    samples[100:150, 3] = np.nan
    samples[200, 3] = np.inf
    samples[:, 4] = 7
    samples[:, 5] = np.nan
    samples[:, 6] = 0
    samples[::300, 6] = 1
    return samples


def described(samples: NDArray[np.float64], cuts: list[int]) -> Description:
    summary, at = _Summary(INFO), 0
    for number in range(len(samples)):
        n = cuts[number % len(cuts)]
        if at >= len(samples):
            break
        piece = samples[at : at + n]
        summary.add(Piece(first_sample=at, t0_ns=None, samples=piece))
        at += len(piece)
    return summary.description(None)


def test_each_fault_is_counted_in_its_channel() -> None:
    samples = recording()
    found = {each.channel.name: each for each in described(samples, [2000]).channels}
    assert {name: each.missing for name, each in found.items() if each.missing} == {
        "holes": 51,
        "absent": 2000,
    }
    assert {name: each.flat for name, each in found.items() if each.flat} == {
        "flat": 300,
        "dead": 2000,
        "trigger": 7 * 299 - 100,
    }
    clipped = int((np.abs(samples[:, 2]) == 2.75).sum())
    assert {name: each.railed for name, each in found.items() if each.railed} == {
        "clipped": clipped
    }
    assert (found["dead"].minimum, found["dead"].maximum, found["dead"].std) == (7, 7, 0)
    assert np.isnan(found["absent"].mean)
    assert found["good"].mean == pytest.approx(samples[:, 0].mean())
    assert found["good"].std == pytest.approx(samples[:, 0].std())


@given(st.lists(st.integers(1, 700), min_size=1, max_size=8))
def test_a_description_does_not_depend_on_how_pieces_are_cut(cuts: list[int]) -> None:
    samples = recording()
    whole, pieces = described(samples, [2000]), described(samples, cuts)

    def exact(channel: ChannelDescription) -> tuple[object, ...]:
        numbers = (channel.minimum, channel.maximum)
        return (channel.missing, channel.flat, channel.railed, *map(repr, numbers))

    assert [exact(each) for each in pieces.channels] == [exact(each) for each in whole.channels]
    for one, other in zip(pieces.channels, whole.channels, strict=True):
        np.testing.assert_allclose((one.mean, one.std), (other.mean, other.std), atol=1e-12)


class Device:
    """A source that loses samples and never ends."""

    info = INFO

    async def __aiter__(self) -> AsyncIterator[Piece]:
        number = 0
        while True:
            first = 10 * number + (50 if number > 3 else 0)
            t0_ns = 10**18 + round(first / 93.2 * 1e9)
            yield Piece(first_sample=first, t0_ns=t0_ns, samples=np.ones((10, len(NAMES))))
            number += 1
            if number == 100:
                return


@pytest.mark.anyio
async def test_the_rate_and_the_gaps_of_a_device_are_described() -> None:
    found = await describe(Device(), seconds=60)
    assert found.gaps == (Gap(first_sample=40, n_samples=50),)
    assert (found.n_samples, found.length_s) == (1000, 10.5)
    assert found.measured_fs_hz == pytest.approx(93.2)
