"""The retry policy: what to do with work that failed."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["Decision", "GiveUp", "RetryAfter", "RetryPolicy", "decide"]


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Exponential back-off with jitter up to a ceiling, for a bounded number of tries."""

    first_delay_s: float = 0.5
    factor: float = 2.0
    max_delay_s: float = 30.0
    #: Tries in all; None: as long as the failure is transient.
    max_tries: int | None = 5

    def ceiling_s(self, tries: int) -> float:
        """Return the longest delay after `tries` failed tries, seconds."""
        # The exponent is bounded, so that a long outage cannot overflow a float.
        return min(self.max_delay_s, self.first_delay_s * self.factor ** min(tries - 1, 64))

    def delay_s(self, tries: int, *, jitter: float | None = None) -> float:
        """Return a delay after `tries` failed tries, seconds.

        `jitter`, from [0, 1), spreads the retries of many callers; None draws one.
        """
        if jitter is None:
            jitter = random.random()  # noqa: S311 - nothing to do with secrets
        return self.ceiling_s(tries) * (0.5 + 0.5 * jitter)


@dataclass(frozen=True)
class RetryAfter:
    """Try again after this many seconds."""

    delay_s: float


@dataclass(frozen=True)
class GiveUp:
    """Do not try again, for this reason."""

    reason: str


Decision = RetryAfter | GiveUp


def decide(
    policy: RetryPolicy, *, tries: int, transient: bool, jitter: float | None = None
) -> Decision:
    """Decide what follows the `tries`-th failed try.

    Parameters
    ----------
    policy
        How long and how often.
    tries
        Tries so far, the failed one included, from 1.
    transient
        Whether the failure passes by itself.
    jitter
        A draw from [0, 1) that spreads the retries of many; None: one is drawn here.
    """
    if not transient:
        return GiveUp("the failure is permanent")
    if policy.max_tries is not None and tries >= policy.max_tries:
        return GiveUp(f"failed {tries} times, which is the limit")
    return RetryAfter(policy.delay_s(tries, jitter=jitter))
