"""The retry policy: whether and when to retry work that failed."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["Decision", "GiveUp", "RetryAfter", "RetryPolicy", "decide"]


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Exponential back-off with jitter, up to a maximum delay and a maximum number of tries."""

    first_delay_s: float = 0.5
    factor: float = 2.0
    max_delay_s: float = 30.0
    #: Maximum number of tries; None: retry as long as the failure is transient.
    max_tries: int | None = 5

    def ceiling_s(self, tries: int) -> float:
        """Return the maximum delay after `tries` failed tries, seconds."""
        # The bound on the exponent prevents an overflow during a long outage.
        return min(self.max_delay_s, self.first_delay_s * self.factor ** min(tries - 1, 64))

    def delay_s(self, tries: int, *, jitter: float | None = None) -> float:
        """Return a delay after `tries` failed tries, seconds.

        `jitter`, in [0, 1), spreads the retries of many callers; None draws a random value.
        """
        if jitter is None:
            jitter = random.random()  # noqa: S311 - nothing to do with secrets
        return self.ceiling_s(tries) * (0.5 + 0.5 * jitter)


@dataclass(frozen=True)
class RetryAfter:
    """Retry after `delay_s` seconds."""

    delay_s: float


@dataclass(frozen=True)
class GiveUp:
    """Do not retry, for the stated reason."""

    reason: str


Decision = RetryAfter | GiveUp


def decide(
    policy: RetryPolicy, *, tries: int, transient: bool, jitter: float | None = None
) -> Decision:
    """Decide whether to retry after the `tries`-th failed try.

    Parameters
    ----------
    policy
        Delays and maximum number of tries.
    tries
        Number of tries so far, including the failed one.
    transient
        Whether the failure can pass by itself.
    jitter
        Value in [0, 1) that spreads the retries of many callers; None draws a random value.
    """
    if not transient:
        return GiveUp("the failure is permanent")
    if policy.max_tries is not None and tries >= policy.max_tries:
        return GiveUp(f"failed {tries} times, which is the limit")
    return RetryAfter(policy.delay_s(tries, jitter=jitter))
