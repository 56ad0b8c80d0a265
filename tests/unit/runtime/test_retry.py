"""The retry policy."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cwt_runtime.retry import GiveUp, RetryAfter, RetryPolicy, decide


def test_permanent_failure_is_not_retried() -> None:
    assert isinstance(decide(RetryPolicy(), tries=1, transient=False, jitter=0.5), GiveUp)


def test_last_delivery_is_not_retried() -> None:
    policy = RetryPolicy(max_tries=3)
    assert isinstance(decide(policy, tries=2, transient=True, jitter=0), RetryAfter)
    assert isinstance(decide(policy, tries=3, transient=True, jitter=0), GiveUp)


def test_without_a_limit_a_long_outage_does_not_overflow() -> None:
    policy = RetryPolicy(max_tries=None, max_delay_s=5)
    assert decide(policy, tries=10**9, transient=True, jitter=0) == RetryAfter(2.5)


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_the_delay_lies_between_half_the_ceiling_and_the_ceiling(tries: int, jitter: float) -> None:
    policy = RetryPolicy(max_tries=None)
    decision = decide(policy, tries=tries, transient=True, jitter=jitter)
    assert isinstance(decision, RetryAfter)
    assert policy.ceiling_s(tries) / 2 <= decision.delay_s <= policy.ceiling_s(tries)
