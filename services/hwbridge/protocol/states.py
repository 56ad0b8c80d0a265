"""The states of the link as a table: what may happen in each, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

__all__ = ["TRANSITIONS", "Happening", "LocalProtocolError", "State", "after"]


class State(Enum):
    """Where a link is."""

    #: Nothing was said yet, or nothing can be said any more.
    DOWN = auto()
    #: HELLO was sent, and is repeated until it is answered.
    GREETING = auto()
    #: Requests go out and are answered.
    OPEN = auto()
    #: SET_BAUD was sent at the old rate.
    ASKING = auto()
    #: The device changes its rate; CONFIRM_BAUD is repeated at the new one.
    CONFIRMING = auto()
    #: It was not confirmed: HELLO at the old rate.
    RETURNING = auto()
    #: Nor was that answered: HELLO at the new rate.
    FOLLOWING = auto()


class Happening(Enum):
    """What moves a link from one state to another."""

    #: The caller greets.
    GREET = auto()
    #: HELLO was answered.
    GREETED = auto()
    #: The caller wants another rate.
    RATE = auto()
    #: What was asked last was done.
    DONE = auto()
    #: What was asked last was refused.
    REFUSED = auto()
    #: The time for it is over.
    EXPIRED = auto()
    #: The device was reset.
    RESET = auto()
    #: What answers cannot be talked to.
    UNFIT = auto()


_TABLE: Mapping[State, Mapping[Happening, State]] = {
    State.DOWN: {Happening.GREET: State.GREETING},
    State.GREETING: {
        Happening.GREET: State.GREETING,
        Happening.GREETED: State.OPEN,
        Happening.EXPIRED: State.DOWN,
        Happening.UNFIT: State.DOWN,
    },
    State.OPEN: {
        Happening.GREET: State.GREETING,
        Happening.RATE: State.ASKING,
        Happening.EXPIRED: State.DOWN,
        Happening.RESET: State.DOWN,
        Happening.UNFIT: State.DOWN,
    },
    State.ASKING: {
        Happening.DONE: State.CONFIRMING,
        Happening.REFUSED: State.OPEN,
        # The reply may have been lost, and the device be at the new rate: it comes back by itself.
        Happening.EXPIRED: State.RETURNING,
        Happening.RESET: State.DOWN,
        Happening.UNFIT: State.DOWN,
    },
    State.CONFIRMING: {
        Happening.DONE: State.OPEN,
        Happening.REFUSED: State.RETURNING,
        Happening.EXPIRED: State.RETURNING,
        Happening.RESET: State.DOWN,
        Happening.UNFIT: State.DOWN,
    },
    State.RETURNING: {
        Happening.GREETED: State.OPEN,
        Happening.EXPIRED: State.FOLLOWING,
        Happening.UNFIT: State.DOWN,
    },
    State.FOLLOWING: {
        Happening.GREETED: State.OPEN,
        Happening.EXPIRED: State.DOWN,
        Happening.UNFIT: State.DOWN,
    },
}

TRANSITIONS: Final = MappingProxyType(_TABLE)

#: States in which HELLO is what waits for an answer.
GREETING_STATES: Final = (State.GREETING, State.RETURNING, State.FOLLOWING)


class LocalProtocolError(Exception):
    """The caller's fault: this is not possible in the state that the link is in."""


def after(state: State, happening: Happening) -> State:
    """Return the state that follows.

    Raises
    ------
    LocalProtocolError
        It cannot happen in this state.
    """
    try:
        return _TABLE[state][happening]
    except KeyError:
        raise LocalProtocolError(
            f"{happening.name.lower()} is not possible while the link is {state.name.lower()}"
        ) from None
