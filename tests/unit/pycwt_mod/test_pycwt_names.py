"""Every public name of pycwt is here, or in the table of the page "Coming from pycwt"."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():
    # pycwt imports a SciPy namespace that is about to go.
    warnings.filterwarnings("ignore", "Please import `hermitenorm`", DeprecationWarning)
    import pycwt

PAGE = Path(__file__).parents[3] / "docs" / "coming-from-pycwt.md"
MODULES = ("", ".helpers", ".mothers", ".wavelet", ".sample.dataset")
#: Of every class, with the tabulated order and with others.
WAVELETS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("Morlet", ()), ("Morlet", (8,)), ("Paul", ()), ("Paul", (2,)), ("DOG", ()), ("DOG", (3,)),
    ("DOG", (4,)), ("DOG", (6,)), ("MexicanHat", ()),
)  # fmt: skip
#: Arguments of the methods: a time or s·ω, negative and large ones included.
POINTS = np.array([-1e3, -1.0, 0.0, 0.5, 6.0])


def public(thing: object) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(thing, name)) for name in dir(thing) if not name.startswith("_"))


def documented() -> set[str]:
    """Return the names in the first column of the page's table."""
    section = PAGE.read_text(encoding="utf-8").split("### Names that differ")[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table is not None
    rows = [line.split("|")[1] for line in table[0].splitlines()[2:]]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def differing_parameters(theirs: Callable[..., Any], ours: Callable[..., Any]) -> Iterator[str]:
    """Yield the parameters of `theirs` that `ours` lacks, or has elsewhere or otherwise."""
    mine = list(inspect.signature(ours).parameters.values())
    for place, parameter in enumerate(inspect.signature(theirs).parameters.values()):
        same = place < len(mine) and (mine[place].name, mine[place].default, mine[place].kind) == (
            parameter.name, parameter.default, parameter.kind,
        )  # fmt: skip
        # A keyword that is swallowed has no name of its own to keep.
        if not same and not (
            parameter.kind is parameter.VAR_KEYWORD and mine[-1].kind is parameter.kind
        ):
            yield parameter.name


def differences_of_modules() -> Iterator[str]:
    for module in MODULES:
        ours = import_module("pycwt_mod" + module)
        for name, theirs in public(import_module("pycwt" + module)):
            if not hasattr(ours, name):
                yield name
            elif inspect.isfunction(theirs) or inspect.isclass(theirs):
                yield from (
                    f"{name}({p})" for p in differing_parameters(theirs, getattr(ours, name))
                )


def value_of(wavelet: object, member: str) -> Any:
    """Return an attribute, or what a method returns; None if either fails."""
    try:
        value = getattr(wavelet, member)
        if member in ("psi", "psi_ft"):
            with np.errstate(all="ignore"):
                return value(POINTS)
        return value() if callable(value) else value
    except (TypeError, ValueError):
        return None


def same_member(theirs: object, ours: object, name: str) -> bool:
    """Whether a member exists, takes the same arguments, and has or returns the same value."""
    if not hasattr(type(ours), name) and name not in vars(ours):
        return False
    if name == "smooth":  # its values are compared with the modules
        return not list(differing_parameters(getattr(theirs, name), getattr(ours, name)))
    expected, found = value_of(theirs, name), value_of(ours, name)
    if expected is None or found is None:
        return False
    if isinstance(expected, str):
        return bool(expected == found)
    return np.allclose(expected, found, rtol=1e-12, atol=1e-300)


def differences_of_wavelets() -> Iterator[str]:
    for kind, order in WAVELETS:
        theirs = getattr(pycwt, kind)(*order)
        ours = getattr(import_module("pycwt_mod"), kind)(*order)
        for name, _ in public(theirs):
            if not same_member(theirs, ours, name):
                yield f"{kind}.{name}"


def differences_of_datasets() -> Iterator[str]:
    from pycwt.sample.dataset import Dataset as Theirs

    from pycwt_mod.sample.dataset import Dataset

    for name in re.findall(r"'([A-Z0-9]+)'", Theirs.__init__.__doc__):
        try:
            Dataset(name)
        except ValueError:
            yield f"Dataset({name})"


def test_the_page_lists_all_differences_of_names_and_no_others() -> None:
    found = {*differences_of_modules(), *differences_of_wavelets(), *differences_of_datasets()}
    assert sorted(found) == sorted(documented())


@pytest.mark.parametrize(("kind", "order"), WAVELETS)
def test_every_attribute_of_a_wavelet_can_be_assigned(kind: str, order: tuple[int, ...]) -> None:
    mine: Any = getattr(import_module("pycwt_mod"), kind)(*order)
    for name, value in vars(getattr(pycwt, kind)(*order)).items():
        if value != -1:  # pycwt's "unknown"
            setattr(mine, name, value)
            assert getattr(mine, name) == value


def test_a_star_import_brings_pycwts_names_and_none_that_hides_another() -> None:
    ours = set(import_module("pycwt_mod").__all__)
    assert set(pycwt.__all__) <= ours
    assert not ours & {"fft", "find", "helpers", "version", "wavelet"}
