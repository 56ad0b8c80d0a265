"""Peers: optional packages that do the same work."""

from __future__ import annotations

import importlib
import os
import warnings
from importlib import metadata
from types import ModuleType

from benchmarks.measurement import Measurement

#: Import name -> name on PyPI. fCWT also needs the FFTW library of the operating system.
PACKAGES = {
    "pycwt": "pycwt",
    "fcwt": "fCWT",
    "pywt": "PyWavelets",
    "ssqueezepy": "ssqueezepy",
    "ezmsg.sigproc.wavelets": "ezmsg-sigproc",
}


def load(name: str) -> ModuleType | None:
    """Return the module of a peer, or None if it can't be imported."""
    # ssqueezepy reads this variable at import; all peers use one thread.
    os.environ.setdefault("SSQ_PARALLEL", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


def who(name: str) -> str:
    """Return the name and version of a peer, or its name alone if it isn't installed."""
    package = PACKAGES[name]
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return package


def missing(name: str) -> Measurement:
    """Return the line of a peer that can't be imported here."""
    return Measurement(who=who(name), note="not measured: it can't be imported here")
