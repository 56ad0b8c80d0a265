"""The class `Dataset` of pycwt's sample scripts, with the series that are free to distribute."""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class _Series(NamedTuple):
    fname: str
    title: str
    label: str
    t0: float
    dt: float
    units: str
    units2: str
    units_tex: str
    units2_tex: str


_SERIES = {
    "NINO3": _Series(
        "sst_nino3.dat", "NINO3 Sea Surface Temperature (seasonal)", "NINO3 SST", 1871, 0.25,
        "degC", "degC^2", r"$^{\circ}\textnormal{C}$", r"$(^{\circ} \textnormal{C})^2$",
    ),
    "JAO": _Series(
        "jao.dat", "Arctic Oscillation (winter)", "AO", 1851, 1.0, "", "", "", "",
    ),
    "BMI": _Series(
        "jbaltic.dat", "Baltic Sea ice extent (annual maximum)", "BMI", 1720, 1.0,
        "1000 km2", "(1000 km2)^2", r"$10^3\,\mathrm{km}^2$", r"$(10^3\,\mathrm{km}^2)^2$",
    ),
}  # fmt: skip

#: Names that pycwt has too, and whose terms of distribution are unknown or not free.
_NOT_INCLUDED = ("MAUNA", "MONSOON", "SUNSPOTS", "SOI")


class Dataset:
    """A sample series and the labels of its axes.

    Parameters
    ----------
    name : {"NINO3", "JAO", "BMI"}
        Sea surface temperature in the eastern Pacific, Arctic Oscillation, Baltic sea ice.
    usetex : bool
        Whether units are written in TeX.

    Attributes
    ----------
    fname : str
        Name of the file, as in pycwt.
    path : str
        Where the file is, for ``numpy.loadtxt``. `jao.dat` and `jbaltic.dat` have two columns,
        the year and the value.
    title, label, units, units2 : str
        `units2` is the square of `units`.
    t0, dt : float
        First time and sampling interval, in years.

    Raises
    ------
    ValueError
        If the series does not exist.

    Examples
    --------
    >>> series = Dataset("NINO3", usetex=False)
    >>> series.load().size, series.t0, series.dt, series.units
    (504, 1871, 0.25, 'degC')
    """

    def __init__(self, name: str, usetex: bool = True) -> None:
        if name in _NOT_INCLUDED:
            raise ValueError(
                f"cannot load {name=}: it isn't distributed with this library; read pycwt's own "
                f"file with numpy.loadtxt, or take one of {tuple(_SERIES)}"
            )
        if name not in _SERIES:
            raise ValueError(f"{name=} must be one of {tuple(_SERIES)}")
        series = _SERIES[name]
        self.fname = series.fname
        self.path = str(resources.files("pycwt_mod.sample").joinpath(series.fname))
        self.title, self.label = series.title, series.label
        self.t0, self.dt = series.t0, series.dt
        self.units = series.units_tex if usetex else series.units
        self.units2 = series.units2_tex if usetex else series.units2

    def load(self) -> NDArray[np.float64]:
        """Return the values; the time of the first is `t0`, and `dt` lies between two."""
        columns = np.loadtxt(self.path, ndmin=2)
        return np.ascontiguousarray(columns[:, -1])
