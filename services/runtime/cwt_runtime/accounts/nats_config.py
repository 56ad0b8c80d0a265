"""The accounts of the server, as text of its configuration.

What crosses between accounts follows from the permissions of their users: each subject that a user
of another account may publish is a service of ``CWT`` or, for JetStream, of ``COPIES``; each
subject that it may subscribe to is a stream of ``CWT``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from cwt_runtime.accounts.copies import COPIED, COPIES_DOMAIN, COPY_DELIVERY, ORIGIN_API
from cwt_runtime.accounts.users import Account, User, service_users
from cwt_schemas import subjects

__all__ = ["accounts_config", "password_variable"]

HEADER = """\
# Accounts and permissions of each user, made by `pycwt-mod accounts`: see docs/securing.md.
# The passwords are variables that passwords.conf sets.
include "passwords.conf"
"""
#: Requests of which the server reports the user to the service; of others, only the account.
IDENTIFIED = (subjects.JOBS.removesuffix(">"), subjects.STREAMS.removesuffix(">"))
#: Inboxes are not shared between accounts.
PRIVATE = "_INBOX."
_JS, _COPIES_JS = "$JS.API.", f"$JS.{COPIES_DOMAIN}.API."


@dataclass(frozen=True)
class _Import:
    """What an account uses of another one: a service to send to, or a stream to hear."""

    kind: str
    owner: Account
    #: As its owner calls it.
    subject: str
    #: As its user calls it, where that differs.
    to: str = ""

    def line(self) -> str:
        """Return the entry of the importing account."""
        options = f', to: "{self.to}"' if self.to else ""
        if self.kind == "service" and self.subject.startswith(IDENTIFIED):
            options += ", share: true"
        return f'{{ {self.kind}: {{ account: {self.owner}, subject: "{self.subject}" }}{options} }}'


def accounts_config(users: Iterable[User]) -> str:
    """Return the accounts of the services' users and of `users`.

    Raises
    ------
    ValueError
        Two users have one name, or one variable of their passwords.
    """
    everyone = (*service_users(), *users)
    counts = Counter(password_variable(user.name) for user in everyone)
    if repeated := sorted(name for name, count in counts.items() if count > 1):
        raise ValueError(f"more than one user has its password in {', '.join(repeated)}")
    imports = {account: list(_imports(account, everyone)) for account in Account}
    lines = [HEADER, "accounts {"]
    for account in Account:
        lines += _account(account, [each for each in everyone if each.account is account], imports)
    return "\n".join((*lines, "}", ""))


def password_variable(user: str) -> str:
    """Return the variable of the configuration that holds the password of `user`."""
    return f"{user.upper().replace('-', '_')}_PASSWORD"


def _account(
    account: Account, users: list[User], imports: dict[Account, list[_Import]]
) -> Iterator[str]:
    yield f"  {account}: {{"
    if account in {Account.CWT, Account.COPIES}:
        yield "    jetstream: enabled"
    if users:
        yield from ("    users: [", *chain.from_iterable(map(_user_lines, users)), "    ]")
    exports = _exports(account, imports)
    if exports:
        yield from ("    exports: [", *(f"      {each}" for each in exports), "    ]")
    if imports[account]:
        own = (f"      {each.line()}" for each in imports[account])
        yield from ("    imports: [", *own, "    ]")
    yield "  }"


def _user_lines(user: User) -> Iterator[str]:
    yield f"      {{ user: {user.name}, password: ${password_variable(user.name)}, permissions: {{"
    yield from _subject_lines("publish", user.publish)
    yield from _subject_lines("subscribe", user.subscribe)
    yield "      } }"


def _subject_lines(verb: str, subjects: tuple[str, ...]) -> Iterator[str]:
    # `publish: []` allows everything.
    yield f"        {verb}: ["
    yield from (f'          "{each}"' for each in subjects)
    yield "        ]"


def _imports(account: Account, users: Iterable[User]) -> Iterator[_Import]:
    """Yield what `account` imports, each once."""
    if account is Account.COPIES:
        for stream in COPIED:
            for subject in (f"CONSUMER.CREATE.{stream}", f"CONSUMER.CREATE.{stream}.>"):
                yield _Import("service", Account.CWT, _JS + subject, f"{ORIGIN_API}.{subject}")
        yield _Import("service", Account.CWT, "$JS.FC.>")
        yield _Import("stream", Account.CWT, f"{COPY_DELIVERY}.>")
        return
    own = [user for user in users if user.account is account]
    foreign = account is not Account.CWT
    published = set(chain.from_iterable(user.publish for user in own))
    for subject in _widest(each for each in published if foreign or each.startswith(_COPIES_JS)):
        if subject.startswith(_COPIES_JS):
            plain = _JS + subject.removeprefix(_COPIES_JS)
            yield _Import("service", Account.COPIES, plain, subject)
        else:
            yield _Import("service", Account.CWT, subject)
    heard = set(chain.from_iterable(user.subscribe for user in own))
    for subject in _widest(each for each in heard if foreign and not each.startswith(PRIVATE)):
        yield _Import("stream", Account.CWT, subject)


def _widest(subjects: Iterable[str]) -> list[str]:
    """Return the subjects that no other one covers: two imports of a request are two requests."""
    several = sorted(subjects)
    return [
        each
        for each in several
        if not any(_covers(other, each) for other in several if other != each)
    ]


def _covers(wide: str, narrow: str) -> bool:
    """Return whether each subject that matches `narrow` matches `wide`."""
    wider, narrower = wide.split("."), narrow.split(".")
    for part, other in zip(wider, narrower, strict=False):
        if part == ">":
            return True
        if other == ">" or part not in {"*", other}:
            return False
    return len(wider) == len(narrower)


def _exports(owner: Account, imports: dict[Account, list[_Import]]) -> list[str]:
    """Return what `owner` exports: what others import, to them alone."""
    importers: dict[tuple[str, str], list[Account]] = {}
    for account, used in imports.items():
        for each in used:
            if each.owner is owner:
                importers.setdefault((each.kind, each.subject), []).append(account)
    return [
        f'{{ {kind}: "{subject}"{_responses(subject)}, accounts: [{", ".join(accounts)}] }}'
        for (kind, subject), accounts in importers.items()
    ]


def _responses(subject: str) -> str:
    """Say of a pull request that it has many answers."""
    return ", response_type: stream" if ".CONSUMER.MSG.NEXT." in subject else ""
