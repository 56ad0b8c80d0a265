"""Export a whole analysis of a stream as arrays and as a netCDF file.

Start the system with ``pycwt-mod up``, publish something, then run:

    python examples/export_stream.py STREAM FILE.nc [URL]
"""

from __future__ import annotations

import sys

import numpy as np

from pycwt_client import blocking


def main(stream: str, path: str, url: str | None = None) -> None:
    """Print the strongest frequency of each channel set, and write the file."""
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
