"""Processes beside the service that compute what nobody waits for at the other end of a request.

Tasks of jobs, and shares of simulations, are computed in child processes of low priority: they have
no interpreter lock in common with live results and queries, one that crashes takes nothing with
it, and one that is not wanted any more is killed at once.
"""

from services.compute.calculator.pool import CalculatorPool, open_pool
from services.compute.calculator.process import Calculator, CalculatorDiedError

__all__ = ["Calculator", "CalculatorDiedError", "CalculatorPool", "open_pool"]
