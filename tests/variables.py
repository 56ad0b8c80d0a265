"""The environment variables that settings are read from."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

from cwt_runtime.connect_settings import ConnectSettings
from cwt_runtime.settings import ServiceSettings

__all__ = ["Variable", "value_of", "variables"]


@dataclasses.dataclass(frozen=True)
class Variable:
    """A variable, as described in the documentation."""

    name: str
    default: object
    description: str


def variables(kind: type[ServiceSettings]) -> dict[str, Variable]:
    """Return the variables of one service by name, in the order of its fields."""
    listed: list[Variable] = []
    for name, field in kind.model_fields.items():
        if name == "nats":
            listed += connection_variables()
        else:
            listed.append(Variable(f"CWT_{name.upper()}", field.default, field.description or ""))
    return {each.name: each for each in listed}


def connection_variables() -> list[Variable]:
    hints = get_type_hints(ConnectSettings, include_extras=True)
    return [
        Variable(
            f"CWT_NATS_{each.name.upper()}",
            each.default,
            hints[each.name].__metadata__[0].description,
        )
        for each in dataclasses.fields(ConnectSettings)
    ]


def value_of(settings: ServiceSettings, variable: str) -> Any:
    """Return the setting of `variable`."""
    name = variable.removeprefix("CWT_").lower()
    if name.startswith("nats_"):
        return getattr(settings.nats, name.removeprefix("nats_"))
    return getattr(settings, name)
