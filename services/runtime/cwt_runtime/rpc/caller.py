"""Identify the sender of a request, and check whether it may change a stream or job.

A request from another account reaches a service through an import. The server writes the sender's
account and, with ``share: true`` in the import, its user into the header ``Nats-Request-Info``, and
replaces any such header of the sender. Such a caller may change only what it owns.

A request from the account of the services has no such header. Its senders, the operators and the
gateway, may change everything, and their name is only recorded. The name is that of the user whose
inbox receives the reply, to which no other user may subscribe. On a bus without accounts, the
caller has no name and may change everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

from cwt_runtime.accounts.users import inbox_prefix, service_users
from cwt_runtime.bus import Message
from cwt_schemas.errors import Forbidden
from cwt_schemas.headers import REQUEST_INFO
from cwt_schemas.limits import MAX_USER

__all__ = ["NO_CALLER", "Caller", "caller_of"]

#: Prefix of the reply subject of a request from another account. The server refuses such a reply
#: subject from clients.
IMPORTED_REPLY: Final = "_R_."
_INSIDERS: Final = {inbox_prefix(user.name): user.name for user in service_users()}
#: Fields of the JSON in the header.
_ACCOUNT, _USER = "acc", "user"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The sender of a request."""

    #: None if unknown, as on a bus without accounts.
    user: str | None = None
    #: Account of the user, if it is not the account of the services.
    account: str | None = None
    #: Whether the request came from another account.
    is_outside: bool = False

    def check_owner(self, owner: str | None, what: str) -> None:
        """Check that the caller may change `what`, which belongs to `owner`.

        Raises
        ------
        Forbidden
            The caller is a user of another account and not the owner.
        """
        if not self.is_outside:
            return
        if self.user is None:
            raise Forbidden(
                f"cannot change {what}: the server does not report your user; write its accounts "
                "again with `pycwt-mod accounts` and reload it"
            )
        if self.user != owner:
            known = f"it belongs to {owner}" if owner else "it has no owner"
            raise Forbidden(
                f"cannot change {what} as {self.user}: {known}; ask an operator",
                {"user": self.user, "owner": owner},
            )


#: Caller outside of a request.
NO_CALLER: Final = Caller()


def caller_of(message: Message) -> Caller:
    """Return the sender of a request."""
    info, reply = message.headers.get(REQUEST_INFO), message.reply or ""
    if info is None and not reply.startswith(IMPORTED_REPLY):
        return Caller(user=_INSIDERS.get(".".join(reply.split(".")[:2])))
    try:
        fields = orjson.loads(info or "")
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        return Caller(is_outside=True)
    return Caller(user=_text(fields, _USER), account=_text(fields, _ACCOUNT), is_outside=True)


def _text(fields: dict[str, object], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= MAX_USER else None
