"""A folder with the server's accounts and the passwords of their users.

``accounts.conf`` has the permissions and no secret. ``passwords.conf`` has all passwords, for the
server; ``passwords/NAME`` has that of one user, for ``CWT_NATS_PASSWORD_FILE``. Both can be read by
their owner alone. ``tls/ca.pem`` is the CA of the server, if `certificates` has written one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from pathlib import Path

from cwt_runtime.accounts.copies import COPIES_DOMAIN
from cwt_runtime.accounts.nats_config import accounts_config, password_variable
from cwt_runtime.accounts.secret_file import write_secret
from cwt_runtime.accounts.users import Account, User, inbox_prefix, service_users
from cwt_runtime.connect_settings import ConnectSettings

__all__ = ["authority_file", "password_file", "settings_of", "write_accounts"]

#: 192 random bits: nothing that can be guessed, whatever the server hashes it with.
PASSWORD_BYTES = 24


def password_file(folder: Path, user: str) -> Path:
    """Return the file with the password of `user`."""
    return folder / "passwords" / user


def authority_file(folder: Path) -> Path:
    """Return the file with the certificate of the CA that clients trust."""
    return folder / "tls" / "ca.pem"


def settings_of(user: User, folder: Path, url: str) -> ConnectSettings:
    """Return how `user` connects to the server at `url`, with TLS if the folder has a CA."""
    reads_copies = user.account in {Account.READERS, Account.ANALYSTS}
    return ConnectSettings(
        url=url,
        user=user.name,
        password_file=str(password_file(folder, user.name)),
        inbox_prefix=inbox_prefix(user.name),
        domain=COPIES_DOMAIN if reads_copies else None,
        tls_ca=str(authority_file(folder)) if authority_file(folder).exists() else None,
    )


def write_accounts(folder: Path, users: Iterable[User]) -> None:
    """Write the accounts of the services' users and of `users`; passwords that exist are kept.

    Raises
    ------
    ValueError
        Two users have one name, or one variable of their passwords.
    """
    others = tuple(users)
    text = accounts_config(others)
    password_file(folder, "").mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = [
        f"{password_variable(user.name)}: {json.dumps(_password(password_file(folder, user.name)))}"
        for user in (*service_users(), *others)
    ]
    write_secret(folder / "passwords.conf", "\n".join((*lines, "")))
    (folder / "accounts.conf").write_text(text)


def _password(path: Path) -> str:
    """Return the password in a file, which is created if it has none."""
    if not (path.exists() and path.read_text().strip()):
        write_secret(path, secrets.token_hex(PASSWORD_BYTES))
    return path.read_text().rstrip("\r\n")
