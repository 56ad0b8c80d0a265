"""Questions that a worker answers: pure functions from request to reply, and their way to them.

The names exported here are pure. `executor` runs them behind `admission` and `reply_cache`;
`level_cache` caches significance levels.
"""

from services.compute.queries.backends import answer_backend, answer_backends
from services.compute.queries.benchmark import answer_benchmark
from services.compute.queries.cost import cost_s, should_cache, should_coalesce
from services.compute.queries.descriptions import answer_schema
from services.compute.queries.identity import content_digest, content_seed
from services.compute.queries.significance import answer_significance
from services.compute.queries.sizes import output_cells, reply_numbers
from services.compute.queries.transforms import answer_cwt, answer_wct, answer_xwt

__all__ = [
    "answer_backend",
    "answer_backends",
    "answer_benchmark",
    "answer_cwt",
    "answer_schema",
    "answer_significance",
    "answer_wct",
    "answer_xwt",
    "content_digest",
    "content_seed",
    "cost_s",
    "output_cells",
    "reply_numbers",
    "should_cache",
    "should_coalesce",
]
