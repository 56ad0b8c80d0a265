"""Generate the accounts section of the server's configuration.

Exports and imports between accounts follow from the permissions of the users. Each subject that a
user of another account may publish to is a service of ``CWT`` or, for JetStream, of ``COPIES``;
each subject that it may subscribe to is a stream of ``CWT``. A marker that it publishes becomes a
request to ingest.
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
#: Prefixes of requests whose user the server reports to the service; for others, only the account.
IDENTIFIED = (subjects.JOBS.removesuffix(">"), subjects.STREAMS.removesuffix(">"))
#: Prefix of inboxes, which are not shared between accounts.
PRIVATE = "_INBOX."
_MARKERS = subjects.MARKERS.removesuffix("*")
_JS, _COPIES_JS = "$JS.API.", f"$JS.{COPIES_DOMAIN}.API."


@dataclass(frozen=True)
class _Import:
    """An import from another account: a service to send to, or a stream to subscribe to."""

    kind: str
    owner: Account
    #: Subject in the exporting account.
    subject: str
    #: Subject in the importing account, if different.
    to: str = ""

    def line(self) -> str:
        """Return the line for the importing account."""
        options = f', to: "{self.to}"' if self.to else ""
        if self.kind == "service" and self.subject.startswith(IDENTIFIED):
            options += ", share: true"
        return f'{{ {self.kind}: {{ account: {self.owner}, subject: "{self.subject}" }}{options} }}'


def accounts_config(users: Iterable[User]) -> str:
    """Return the configuration of the accounts of the services and of `users`.

    Raises
    ------
    ValueError
        Two users have the same name or the same password variable.
    """
    everyone = (*service_users(), *users)
    counts = Counter(password_variable(user.name) for user in everyone)
    if repeated := sorted(name for name, count in counts.items() if count > 1):
        raise ValueError(f"more than one user has the password variable {', '.join(repeated)}")
    imports = {account: list(_imports(account, everyone)) for account in Account}
    lines = [HEADER, "accounts {"]
    for account in Account:
        lines += _account(account, [each for each in everyone if each.account is account], imports)
    return "\n".join((*lines, "}", ""))


def password_variable(user: str) -> str:
    """Return the name of the configuration variable with the password of `user`."""
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
    # An empty list, as in `publish: []`, allows everything.
    yield f"        {verb}: ["
    yield from (f'          "{each}"' for each in subjects)
    yield "        ]"


def _imports(account: Account, users: Iterable[User]) -> Iterator[_Import]:
    """Yield the imports of `account` without duplicates."""
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
        elif subject.startswith(_MARKERS):
            stream = subjects.stream_of_marker(subject)
            yield _Import("service", Account.CWT, subjects.mark(stream), subject)
        else:
            yield _Import("service", Account.CWT, subject)
    subscribed = set(chain.from_iterable(user.subscribe for user in own))
    for subject in _widest(each for each in subscribed if foreign and not each.startswith(PRIVATE)):
        yield _Import("stream", Account.CWT, subject)


def _widest(subjects: Iterable[str]) -> list[str]:
    """Return the subjects not covered by another; overlapping imports would duplicate requests."""
    several = sorted(subjects)
    return [
        each
        for each in several
        if not any(_covers(other, each) for other in several if other != each)
    ]


def _covers(wide: str, narrow: str) -> bool:
    """Return whether every subject that matches `narrow` also matches `wide`."""
    wider, narrower = wide.split("."), narrow.split(".")
    for part, other in zip(wider, narrower, strict=False):
        if part == ">":
            return True
        if other == ">" or part not in {"*", other}:
            return False
    return len(wider) == len(narrower)


def _exports(owner: Account, imports: dict[Account, list[_Import]]) -> list[str]:
    """Return the exports of `owner`, each restricted to the accounts that import it."""
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
    """Return the attribute that allows several replies to a pull request."""
    return ", response_type: stream" if ".CONSUMER.MSG.NEXT." in subject else ""
