"""Connection settings of a NATS client: server URLs, user, TLS.

`pycwt_client.connect` takes them as its argument. Services and commands read them from the
environment, where each field has a variable: `password_file` is ``CWT_NATS_PASSWORD_FILE``.
Secrets are in files, and the fields contain the paths of these files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import Field

from cwt_runtime.urls import has_credentials, without_credentials

__all__ = ["DEFAULT_INBOX_PREFIX", "DEFAULT_URL", "ConnectSettings"]

DEFAULT_URL = "nats://127.0.0.1:4222"
DEFAULT_INBOX_PREFIX = "_INBOX"
#: Tokens of a subject, without wildcards.
_TOKEN = re.compile(r"[^\s.*>]+")
_SUBJECT = re.compile(rf"{_TOKEN.pattern}(\.{_TOKEN.pattern})*")


@dataclass(frozen=True, kw_only=True, repr=False)
class ConnectSettings:
    """Servers, and the user to connect as; at most one way to identify the user is allowed.

    Raises
    ------
    ValueError
        Settings contradict each other. The message lists every fault, with field names in
        backquotes. Files are not checked here; connecting reads them.
    """

    url: Annotated[
        str,
        Field(
            pattern=r"^(nats|tls|ws|wss)://\S+$",
            description="URL of the server; several are separated by commas",
        ),
    ] = DEFAULT_URL
    user: Annotated[str | None, Field(description="user name, with `CWT_NATS_PASSWORD_FILE`")] = (
        None
    )
    password_file: Annotated[
        str | None, Field(description="path of a file that contains the user's password")
    ] = None
    token_file: Annotated[str | None, Field(description="path of a file that contains a token")] = (
        None
    )
    nkey_seed_file: Annotated[
        str | None, Field(description="path of a file that contains the user's nkey seed")
    ] = None
    creds: Annotated[str | None, Field(description="path of a NATS credentials file")] = None
    tls_ca: Annotated[
        str | None,
        Field(
            description="path of the CA certificates to trust; unset: those of the operating system"
        ),
    ] = None
    tls_cert: Annotated[
        str | None, Field(description="path of a client certificate, with `CWT_NATS_TLS_KEY`")
    ] = None
    tls_key: Annotated[
        str | None, Field(description="path of the key of the client certificate")
    ] = None
    tls_first: Annotated[
        bool,
        Field(description="start TLS before the server sends its INFO message (`handshake_first`)"),
    ] = False
    inbox_prefix: Annotated[
        str,
        Field(
            description="prefix of the inbox subjects of this connection, such as `_INBOX.device1`"
        ),
    ] = DEFAULT_INBOX_PREFIX
    domain: Annotated[
        str | None,
        Field(description="JetStream domain to read and write; unset: that of the account"),
    ] = None

    def __post_init__(self) -> None:
        """Report every contradiction between the fields."""
        faults = [*self._faults_of_user(), *self._faults_of_tls(), *self._faults_of_subjects()]
        if faults:
            raise ValueError("; ".join(faults))

    def __repr__(self) -> str:
        """Return the fields that differ from their defaults, without the credentials in the URL."""
        parts = [
            f"{each.name}={getattr(self, each.name)!r}"
            for each in fields(self)
            if each.name != "url" and getattr(self, each.name) != each.default
        ]
        return f"{type(self).__name__}({', '.join((f'url={self.address!r}', *parts))})"

    @property
    def address(self) -> str:
        """The URL without user and password, safe to print and log."""
        return without_credentials(self.url)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables for these settings, without those that equal the default."""
        return {
            f"CWT_NATS_{each.name.upper()}": str(value)
            for each in fields(self)
            if (value := getattr(self, each.name)) != each.default
        }

    @property
    def requires_tls(self) -> bool:
        """Whether a connection without TLS is an error."""
        is_set = self.tls_first or any((self.tls_ca, self.tls_cert, self.tls_key))
        return is_set or any(url.startswith(("tls://", "wss://")) for url in self.url.split(","))

    def _faults_of_user(self) -> list[str]:
        faults = []
        if (self.user is None) != (self.password_file is None):
            present, missing = ("user", "password_file") if self.user else ("password_file", "user")
            faults.append(f"`{present}` needs `{missing}`")
        ways = {
            "`url` with a user": has_credentials(self.url),
            "`user`": self.user is not None,
            "`token_file`": self.token_file is not None,
            "`nkey_seed_file`": self.nkey_seed_file is not None,
            "`creds`": self.creds is not None,
        }
        chosen = [way for way, is_chosen in ways.items() if is_chosen]
        if len(chosen) > 1:
            faults.append(f"{' and '.join(chosen)} each name a user: set only one of them")
        return faults

    def _faults_of_tls(self) -> list[str]:
        if (self.tls_cert is None) == (self.tls_key is None):
            return []
        present, missing = ("tls_cert", "tls_key") if self.tls_cert else ("tls_key", "tls_cert")
        return [f"`{present}` needs `{missing}`"]

    def _faults_of_subjects(self) -> list[str]:
        faults = []
        if not _SUBJECT.fullmatch(self.inbox_prefix):
            prefix = repr(self.inbox_prefix)
            faults.append(f"`inbox_prefix` is not a subject without wildcards (got {prefix})")
        if self.domain is not None and not _TOKEN.fullmatch(self.domain):
            faults.append(f"`domain` is not one token of a subject (got {self.domain!r})")
        return faults
