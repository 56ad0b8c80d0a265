"""What can go wrong between two parties on the bus, whose fault it is, and whether it passes."""
# The names are those of the contract and of HTTP; "BadRequestError" would say nothing more.
# ruff: noqa: N818

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import JsonValue, Strict

from cwt_schemas import headers
from cwt_schemas.message import Message

Detail = Mapping[str, JsonValue]

#: Characters of the error header; the whole message is in the body.
_HEADER_TEXT: Final = 256


class ErrorCode(StrEnum):
    """The closed list of codes, each with the HTTP status that means the same."""

    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNPROCESSABLE = "unprocessable"
    OVERLOADED = "overloaded"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"

    @property
    def status(self) -> int:
        """The number in the header ``Nats-Service-Error-Code``."""
        return _STATUS[self]

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self in TRANSIENT


_STATUS: Final = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.PAYLOAD_TOO_LARGE: 413,
    ErrorCode.UNPROCESSABLE: 422,
    ErrorCode.OVERLOADED: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.TIMEOUT: 504,
}

#: Worth another try after a while. ``internal`` isn't: a bug answers the same way again.
TRANSIENT: Final = frozenset({ErrorCode.OVERLOADED, ErrorCode.UNAVAILABLE, ErrorCode.TIMEOUT})


class Problem(Message):
    """The inside of an error body."""

    code: Annotated[ErrorCode, Strict(False)]
    message: str
    detail: dict[str, JsonValue] | None = None

    def exception(self) -> ContractError:
        """Return the exception that the other side meant."""
        return _KINDS[self.code](self.message, self.detail)


class ErrorBody(Message):
    """The body of every refusal: ``{"error": {"code", "message", "detail"}}``."""

    error: Problem

    def exception(self) -> ContractError:
        """Return the exception that the other side meant."""
        return self.error.exception()


class ContractError(Exception):
    """A refusal that crosses the bus as it is; the message is fit for a stranger.

    Attributes
    ----------
    code : ErrorCode
    message : str
        One sentence for people, never a repr, a path or a stack.
    detail : mapping or None
        The facts for programs, such as ``{"size": 9000000, "limit": 8384512}``.
    """

    def __init__(self, code: ErrorCode, message: str, detail: Detail | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = None if detail is None else dict(detail)

    @property
    def status(self) -> int:
        """The HTTP status that means the same."""
        return self.code.status

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code.transient

    def body(self) -> ErrorBody:
        """Return the message to answer with."""
        return ErrorBody(error=Problem(code=self.code, message=self.message, detail=self.detail))

    def headers(self) -> dict[str, str]:
        """Return the headers to answer with: one line of printable ASCII, and the status."""
        line = re.sub(r"[^\x20-\x7e]+", " ", self.message)[:_HEADER_TEXT].strip()
        return {
            headers.SERVICE_ERROR: line or self.code.value,
            headers.SERVICE_ERROR_CODE: str(self.status),
        }


class BadRequest(ContractError):
    """The sender's fault: the bytes or headers can't be read."""

    kind: ClassVar = ErrorCode.BAD_REQUEST

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class NotFound(ContractError):
    """The sender's fault: what the request names isn't there."""

    kind: ClassVar = ErrorCode.NOT_FOUND

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class Conflict(ContractError):
    """The sender's fault: the request contradicts the state of things."""

    kind: ClassVar = ErrorCode.CONFLICT

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class PayloadTooLarge(ContractError):
    """The sender's fault: the request, or the reply it asks for, is above a limit."""

    kind: ClassVar = ErrorCode.PAYLOAD_TOO_LARGE

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class Unprocessable(ContractError):
    """The sender's fault: readable, but a field is wrong; the message names the field."""

    kind: ClassVar = ErrorCode.UNPROCESSABLE

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)

    @classmethod
    def of(cls, problems: Mapping[str, str], reason: str | None = None) -> Unprocessable:
        """Return one refusal for all fields, given as ``{field: what is wrong}``.

        `reason` is a word for programs.
        """
        message = "; ".join(f"{field}: {problem}" for field, problem in problems.items())
        return cls(message, {"fields": dict(problems), **({"reason": reason} if reason else {})})

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the sender has to correct."""
        fields = (self.detail or {}).get("fields")
        return tuple(fields) if isinstance(fields, dict) else ()


class Overloaded(ContractError):
    """Passes: the service has as much to do as it admits."""

    kind: ClassVar = ErrorCode.OVERLOADED

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class Internal(ContractError):
    """The service's fault; the detail has the id that is in its log."""

    kind: ClassVar = ErrorCode.INTERNAL

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class Unavailable(ContractError):
    """Passes: something that the service needs isn't there now."""

    kind: ClassVar = ErrorCode.UNAVAILABLE

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class Timeout(ContractError):
    """Passes: the deadline was over before the answer was ready."""

    kind: ClassVar = ErrorCode.TIMEOUT

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


_Kind = (
    type[BadRequest]
    | type[NotFound]
    | type[Conflict]
    | type[PayloadTooLarge]
    | type[Unprocessable]
    | type[Overloaded]
    | type[Internal]
    | type[Unavailable]
    | type[Timeout]
)
_KINDS: Final[dict[ErrorCode, _Kind]] = {
    BadRequest.kind: BadRequest,
    NotFound.kind: NotFound,
    Conflict.kind: Conflict,
    PayloadTooLarge.kind: PayloadTooLarge,
    Unprocessable.kind: Unprocessable,
    Overloaded.kind: Overloaded,
    Internal.kind: Internal,
    Unavailable.kind: Unavailable,
    Timeout.kind: Timeout,
}
