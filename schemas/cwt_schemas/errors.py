"""Errors that cross the bus: whose fault they are, and whether they are transient."""
# The names are those of the wire contract and of HTTP, without the suffix "Error".
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
    """The closed list of error codes, each with the equivalent HTTP status."""

    BAD_REQUEST = "bad_request"
    FORBIDDEN = "forbidden"
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
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.PAYLOAD_TOO_LARGE: 413,
    ErrorCode.UNPROCESSABLE: 422,
    ErrorCode.OVERLOADED: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.TIMEOUT: 504,
}

#: Codes worth a retry. ``internal`` is not: a bug occurs again.
TRANSIENT: Final = frozenset({ErrorCode.OVERLOADED, ErrorCode.UNAVAILABLE, ErrorCode.TIMEOUT})


class Problem(Message):
    """The content of an error body."""

    code: Annotated[ErrorCode, Strict(False)]
    message: str
    detail: dict[str, JsonValue] | None = None

    def exception(self) -> ContractError:
        """Return the exception for this error."""
        return _KINDS[self.code](self.message, self.detail)


class ErrorBody(Message):
    """The body of every error: ``{"error": {"code", "message", "detail"}}``."""

    error: Problem

    def exception(self) -> ContractError:
        """Return the exception for this error."""
        return self.error.exception()


class ContractError(Exception):
    """An error that crosses the bus unchanged.

    Attributes
    ----------
    code : ErrorCode
    message : str
        One sentence for users, without a repr, a path or a stack trace.
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
        """The equivalent HTTP status."""
        return self.code.status

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code.transient

    def body(self) -> ErrorBody:
        """Return the body of the reply."""
        return ErrorBody(error=Problem(code=self.code, message=self.message, detail=self.detail))

    def headers(self) -> dict[str, str]:
        """Return the headers of the reply: one line of printable ASCII, and the status."""
        line = re.sub(r"[^\x20-\x7e]+", " ", self.message)[:_HEADER_TEXT].strip()
        return {
            headers.SERVICE_ERROR: line or self.code.value,
            headers.SERVICE_ERROR_CODE: str(self.status),
        }


class BadRequest(ContractError):
    """The sender's fault: the body or headers cannot be decoded."""

    kind: ClassVar = ErrorCode.BAD_REQUEST

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class Forbidden(ContractError):
    """The sender's fault: its user may not do this."""

    kind: ClassVar = ErrorCode.FORBIDDEN

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class NotFound(ContractError):
    """The sender's fault: the object that the request names does not exist."""

    kind: ClassVar = ErrorCode.NOT_FOUND

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class Conflict(ContractError):
    """The sender's fault: the request conflicts with the current state."""

    kind: ClassVar = ErrorCode.CONFLICT

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class PayloadTooLarge(ContractError):
    """The sender's fault: the request, or the requested reply, is above a limit."""

    kind: ClassVar = ErrorCode.PAYLOAD_TOO_LARGE

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class Unprocessable(ContractError):
    """The sender's fault: a field is invalid; the message names the field."""

    kind: ClassVar = ErrorCode.UNPROCESSABLE

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)

    @classmethod
    def of(cls, problems: Mapping[str, str], reason: str | None = None) -> Unprocessable:
        """Return one error for all invalid fields, given as ``{field: problem}``.

        `reason` is a code for programs.
        """
        message = "; ".join(f"{field}: {problem}" for field, problem in problems.items())
        return cls(message, {"fields": dict(problems), **({"reason": reason} if reason else {})})

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the sender must correct."""
        fields = (self.detail or {}).get("fields")
        return tuple(fields) if isinstance(fields, dict) else ()


class Overloaded(ContractError):
    """Transient: the service has as many requests as it admits."""

    kind: ClassVar = ErrorCode.OVERLOADED

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class Internal(ContractError):
    """The service's fault; the detail has the id of the log entry."""

    kind: ClassVar = ErrorCode.INTERNAL

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class Unavailable(ContractError):
    """Transient: something that the service needs is not available."""

    kind: ClassVar = ErrorCode.UNAVAILABLE

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


class Timeout(ContractError):
    """Transient: the deadline passed before the reply was ready."""

    kind: ClassVar = ErrorCode.TIMEOUT

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(self.kind, message, detail)


_Kind = (
    type[BadRequest]
    | type[Forbidden]
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
    Forbidden.kind: Forbidden,
    NotFound.kind: NotFound,
    Conflict.kind: Conflict,
    PayloadTooLarge.kind: PayloadTooLarge,
    Unprocessable.kind: Unprocessable,
    Overloaded.kind: Overloaded,
    Internal.kind: Internal,
    Unavailable.kind: Unavailable,
    Timeout.kind: Timeout,
}
