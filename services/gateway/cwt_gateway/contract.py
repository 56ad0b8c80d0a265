"""What a route takes and gives, for the OpenAPI document and for the choice of an encoding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cwt_schemas.message import Message

__all__ = ["Contract", "contract", "contract_of"]

Route = TypeVar("Route", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The models of a route's bodies, for the OpenAPI document; None: no body of that kind."""

    request: type[Message] | None = None
    reply: type[Message] | None = None
    #: Also as a NumPy archive.
    archive: bool = True
    status: int = 200
    #: Further statuses that come with the same reply.
    also: tuple[int, ...] = ()
    #: Media types of a request body that no model describes.
    raw: tuple[str, ...] = ()
    #: Headers of the request that belong to such a body, with their JSON Schemas.
    headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Media types of a reply that no model describes.
    media_types: tuple[str, ...] = ()


def contract(**fields: Any) -> Callable[[Route], Route]:  # noqa: ANN401 - of a Contract
    """Say which models a route takes and gives; the arguments are those of `Contract`."""

    def mark(route: Route) -> Route:
        route.contract = Contract(**fields)  # type: ignore[attr-defined]
        return route

    return mark


def contract_of(route: Callable[..., Any] | None) -> Contract | None:
    """Return what was said of a route."""
    return getattr(route, "contract", None)
