"""Contracts of routes, for the OpenAPI document and for the choice of an encoding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cwt_schemas.message import Message

__all__ = ["Contract", "contract", "contract_of"]

Route = TypeVar("Route", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Models of a route's bodies, for the OpenAPI document; None means no such body."""

    request: type[Message] | None = None
    reply: type[Message] | None = None
    #: Whether the reply is also available as a NumPy archive.
    archive: bool = True
    status: int = 200
    #: Further statuses that have the same reply.
    also: tuple[int, ...] = ()
    #: Media types of a request body that no model describes.
    raw: tuple[str, ...] = ()
    #: Request headers that belong to such a body, with their JSON Schemas.
    headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Media types of a reply that no model describes.
    media_types: tuple[str, ...] = ()


def contract(**fields: Any) -> Callable[[Route], Route]:  # noqa: ANN401 - of a Contract
    """Attach a `Contract` with these arguments to a route."""

    def mark(route: Route) -> Route:
        route.contract = Contract(**fields)  # type: ignore[attr-defined]
        return route

    return mark


def contract_of(route: Callable[..., Any] | None) -> Contract | None:
    """Return the contract of a route."""
    return getattr(route, "contract", None)
