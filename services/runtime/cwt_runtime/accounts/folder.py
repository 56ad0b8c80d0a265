"""A folder with the server's accounts and the passwords of their users.

``accounts.conf`` contains the permissions and no secrets. ``passwords.conf`` contains all
passwords, for the server; ``passwords/NAME`` contains that of one user, for
``CWT_NATS_PASSWORD_FILE``. Only their owner can read the password files. ``tls/ca.pem`` is the CA
of the server, if `certificates` has written one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cwt_runtime.accounts.copies import COPIES_DOMAIN
from cwt_runtime.accounts.nats_config import accounts_config, password_variable
from cwt_runtime.accounts.secret_file import write_secret
from cwt_runtime.accounts.users import Account, User, inbox_prefix, service_users
from cwt_runtime.connect_settings import ConnectSettings
from cwt_schemas.access import Role

__all__ = ["authority_file", "password_file", "settings_as", "settings_of", "write_accounts"]

#: 192 random bits, which cannot be guessed even if the server uses a fast hash.
PASSWORD_BYTES = 24


def password_file(folder: Path, user: str) -> Path:
    """Return the path of the password file of `user`."""
    return folder / "passwords" / user


def authority_file(folder: Path) -> Path:
    """Return the path of the certificate of the CA that clients trust."""
    return folder / "tls" / "ca.pem"


def settings_of(user: User, folder: Path, url: str) -> ConnectSettings:
    """Return settings for `user` to connect to `url`, with TLS if the folder has a CA."""
    reads_copies = user.account in {Account.READERS, Account.ANALYSTS}
    return ConnectSettings(
        url=url,
        user=user.name,
        password_file=str(password_file(folder, user.name)),
        inbox_prefix=inbox_prefix(user.name),
        domain=COPIES_DOMAIN if reads_copies else None,
        tls_ca=str(authority_file(folder)) if authority_file(folder).exists() else None,
    )


def settings_as(
    user: str, role: Role, passwords: Path, service: ConnectSettings
) -> ConnectSettings:
    """Return settings for a service to connect to its server as another user.

    Parameters
    ----------
    user, role
        Name and role of the user.
    passwords
        Folder with one password file per user.
    service
        Connection settings of the service.
    """
    reads_copies = role in {Role.READER, Role.ANALYST}
    return replace(
        service,
        url=service.address,
        user=user,
        password_file=str(passwords / user),
        token_file=None,
        nkey_seed_file=None,
        creds=None,
        inbox_prefix=inbox_prefix(user),
        domain=COPIES_DOMAIN if reads_copies else None,
    )


def write_accounts(folder: Path, users: Iterable[User]) -> None:
    """Write the accounts of the services and of `users`; existing passwords are kept.

    Raises
    ------
    ValueError
        Two users have the same name or the same password variable.
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
    """Return the password in a file; create the password if the file has none."""
    if not (path.exists() and path.read_text().strip()):
        write_secret(path, secrets.token_hex(PASSWORD_BYTES))
    return path.read_text().rstrip("\r\n")
