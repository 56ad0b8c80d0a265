"""Pictures of power and coherence over time and frequency, on axes that the caller owns.

Matplotlib is optional (the extra ``plot``); nothing else in the library needs it.
"""

from __future__ import annotations

try:
    import matplotlib as mpl
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "cannot draw: matplotlib is not installed; install pycwt-mod with the extra 'plot' "
        "(in a clone: pip install '.[plot]')",
        name="matplotlib",
    ) from error
else:
    del mpl

from pycwt_mod.plot.canvas import COLOUR_MAP, Options, add_colour_bar
from pycwt_mod.plot.pictures import plot_coherence, plot_cross, plot_scalogram
from pycwt_mod.plot.side import plot_global_spectrum, plot_scale_average

__all__ = [
    "COLOUR_MAP",
    "Options",
    "add_colour_bar",
    "plot_coherence",
    "plot_cross",
    "plot_global_spectrum",
    "plot_scale_average",
    "plot_scalogram",
]
