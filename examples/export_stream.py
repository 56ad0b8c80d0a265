"""A whole analysis of a stream as arrays, and as a file.

Run it against ``pycwt-mod up``, where something has been published:

    python examples/export_stream.py STREAM FILE.nc [URL]
"""

from __future__ import annotations

import sys

import numpy as np

from pycwt_client import blocking


def main(stream: str, path: str, url: str | None = None) -> None:
    """Say where each channel set is strongest, and write the file."""
    with blocking.connect(url) as client:
        export = client.export(stream)
    valid = np.ma.MaskedArray(np.abs(export.values), export.mask)
    for label, unit, values in zip(export.labels, export.units, valid, strict=True):
        mean = values.mean(axis=1)
        row = int(np.ma.argmax(mean))
        print(f"{label}: {mean[row]:.3g} {unit} on average at {export.freqs_hz[row]:.3g} Hz")
    export.save_netcdf(path)
    print(f"{path}: {export.values.shape[1]} frequencies, {export.values.shape[2]} times")


if __name__ == "__main__":
    main(*sys.argv[1:])
