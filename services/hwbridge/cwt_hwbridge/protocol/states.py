"""The state machine of the link as a table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

__all__ = ["TRANSITIONS", "LinkEvent", "LinkState", "LocalProtocolError", "after"]


class LinkState(Enum):
    """The state of a link."""

    #: The handshake has not begun, or the link has failed.
    DOWN = auto()
    #: HELLO was sent, and is repeated until an answer arrives.
    GREETING = auto()
    #: Requests can be sent.
    OPEN = auto()
    #: SET_BAUD was sent at the old rate.
    ASKING = auto()
    #: The device changes its rate; CONFIRM_BAUD is repeated at the new rate.
    CONFIRMING = auto()
    #: The new rate was not confirmed: HELLO is sent at the old rate.
    RETURNING = auto()
    #: The old rate was not answered either: HELLO is sent at the new rate.
    FOLLOWING = auto()


class LinkEvent(Enum):
    """An event that changes the state of a link."""

    #: The caller starts the handshake.
    GREET = auto()
    #: HELLO was answered.
    GREETED = auto()
    #: The caller requests another rate.
    RATE = auto()
    #: The last request was executed.
    DONE = auto()
    #: The last request was refused.
    REFUSED = auto()
    #: The last request timed out.
    EXPIRED = auto()
    #: The device was reset.
    RESET = auto()
    #: The other side is not a supported device.
    UNFIT = auto()


#: The next state, by state and event; other events are not possible in a state.
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
        # If the reply was lost, the device is at the new rate, from which it returns by itself.
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

#: States in which HELLO is unanswered.
GREETING_STATES: Final = (LinkState.GREETING, LinkState.RETURNING, LinkState.FOLLOWING)


class LocalProtocolError(Exception):
    """The caller's fault: the call is not possible in the current state of the link."""


def after(state: LinkState, event: LinkEvent) -> LinkState:
    """Return the next state.

    Raises
    ------
    LocalProtocolError
        The event is not possible in this state.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise LocalProtocolError(
            f"{event.name.lower()} is not possible while the link is {state.name.lower()}"
        ) from None
