"""Samples of more bits than float32 has keep them, beside the offset of an electrode as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pycwt_client.signals import narrowed
from pycwt_client.sources import named_source
from tests.unit.client.sources.test_files import read, whole

pytestmark = pytest.mark.anyio

OFFSET = 9000.0
VALUES = OFFSET + np.round(np.sin(np.arange(200) / 5), 4)


def test_float32_is_enough_where_it_rounds_by_less_than_results_are_promised() -> None:
    assert narrowed(VALUES[:, None]).dtype.str == "<f8"
    assert narrowed(VALUES[:, None] - OFFSET).dtype.str == "<f4"
    assert narrowed(np.full((5, 1), OFFSET + 0.1)).dtype.str == "<f4"
    assert narrowed(np.full((5, 1), np.nan)).dtype.str == "<f4"


async def test_the_text_of_openbci_keeps_its_decimals(tmp_path: Path) -> None:
    head = ["%OpenBCI Raw EEG Data", "%Number of channels = 1", "%Sample Rate = 100.0 Hz"]
    rows = [f"{at % 256}, {value:.4f}, 0, 0, 0" for at, value in enumerate(VALUES)]
    path = tmp_path / "old.txt"
    path.write_text("\n".join([*head, *rows]) + "\n")
    _, pieces = await read(named_source(str(path), channels=("EXG_Channel_0",)))
    np.testing.assert_array_equal(whole(pieces)[:, 0], np.round(VALUES, 4))


@pytest.mark.parametrize(("kind", "dtype"), [("24", "<f8"), ("16", "<f4")])
async def test_a_wfdb_record_of_24_bits_is_in_double_precision(
    tmp_path: Path, kind: str, dtype: str
) -> None:
    width = int(kind) // 8
    counts = np.arange(2 ** (8 * width - 1) - 200, 2 ** (8 * width - 1) - 1)
    content = b"".join(int(count).to_bytes(width, "little") for count in counts)
    (tmp_path / "a.dat").write_bytes(content)
    head = [f"a 1 100 {len(counts)}", f"a.dat {kind} 10(0)/uV {8 * width} 0 0 0 0 C3"]
    (tmp_path / "a.hea").write_text("\n".join(head) + "\n")
    _, pieces = await read(named_source(str(tmp_path / "a.hea")))
    assert pieces[0].samples.dtype.str == dtype
    tolerance = 1e-6 if dtype == "<f8" else 0.01
    np.testing.assert_allclose(whole(pieces)[:, 0] * 10, counts, rtol=0, atol=tolerance)
