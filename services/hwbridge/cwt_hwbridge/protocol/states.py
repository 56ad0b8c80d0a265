"""The states of the link as a table: what may happen in each, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

__all__ = ["TRANSITIONS", "LinkEvent", "LinkState", "LocalProtocolError", "after"]


class LinkState(Enum):
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


class LinkEvent(Enum):
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


#: The state that follows each state, by event; any other event is not possible in that state.
TRANSITIONS: Final[Mapping[LinkState, Mapping[LinkEvent, LinkState]]] = {
    LinkState.DOWN: {LinkEvent.GREET: LinkState.GREETING},
    LinkState.GREETING: {
        LinkEvent.GREET: LinkState.GREETING,
        LinkEvent.GREETED: LinkState.OPEN,
        LinkEvent.EXPIRED: LinkState.DOWN,
        LinkEvent.UNFIT: LinkState.DOWN,
    },
    LinkState.OPEN: {
        LinkEvent.GREET: LinkState.GREETING,
        LinkEvent.RATE: LinkState.ASKING,
        LinkEvent.EXPIRED: LinkState.DOWN,
        LinkEvent.RESET: LinkState.DOWN,
        LinkEvent.UNFIT: LinkState.DOWN,
    },
    LinkState.ASKING: {
        LinkEvent.DONE: LinkState.CONFIRMING,
        LinkEvent.REFUSED: LinkState.OPEN,
        # The reply may have been lost, and the device be at the new rate: it comes back by itself.
        LinkEvent.EXPIRED: LinkState.RETURNING,
        LinkEvent.RESET: LinkState.DOWN,
        LinkEvent.UNFIT: LinkState.DOWN,
    },
    LinkState.CONFIRMING: {
        LinkEvent.DONE: LinkState.OPEN,
        LinkEvent.REFUSED: LinkState.RETURNING,
        LinkEvent.EXPIRED: LinkState.RETURNING,
        LinkEvent.RESET: LinkState.DOWN,
        LinkEvent.UNFIT: LinkState.DOWN,
    },
    LinkState.RETURNING: {
        LinkEvent.GREETED: LinkState.OPEN,
        LinkEvent.EXPIRED: LinkState.FOLLOWING,
        LinkEvent.UNFIT: LinkState.DOWN,
    },
    LinkState.FOLLOWING: {
        LinkEvent.GREETED: LinkState.OPEN,
        LinkEvent.EXPIRED: LinkState.DOWN,
        LinkEvent.UNFIT: LinkState.DOWN,
    },
}

#: States in which HELLO is what waits for an answer.
GREETING_STATES: Final = (LinkState.GREETING, LinkState.RETURNING, LinkState.FOLLOWING)


class LocalProtocolError(Exception):
    """The caller's fault: this is not possible in the state that the link is in."""


def after(state: LinkState, event: LinkEvent) -> LinkState:
    """Return the state that follows.

    Raises
    ------
    LocalProtocolError
        It cannot happen in this state.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise LocalProtocolError(
            f"{event.name.lower()} is not possible while the link is {state.name.lower()}"
        ) from None
