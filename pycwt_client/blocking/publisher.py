"""`pycwt_client.Publisher` for a program that waits."""

from __future__ import annotations

from pycwt_client.blocking.face import Blocking, waiting
from pycwt_client.publisher import Publisher as AsyncPublisher

__all__ = ["Publisher"]


class Publisher(Blocking[AsyncPublisher]):
    """Publishes the chunks of one epoch of one stream, as `pycwt_client.Publisher`.

    Leaving the ``with``, or `close`, waits until every chunk is kept.
    """

    publish = waiting(AsyncPublisher.publish)
    push = waiting(AsyncPublisher.push)
    flush = waiting(AsyncPublisher.flush)
    finish = waiting(AsyncPublisher.finish)
    restart = waiting(AsyncPublisher.restart)

    @property
    def epoch(self) -> str:
        """Name of the present run."""
        return self._own.epoch

    @property
    def next_sample(self) -> int:
        """Position that the next sample gets when the call says none."""
        return self._own.next_sample

    @property
    def kept(self) -> int:
        """Chunks acknowledged."""
        return self._own.kept

    @property
    def duplicates(self) -> int:
        """How many of the kept ones were in the log before."""
        return self._own.duplicates

    @property
    def resent(self) -> int:
        """Chunks that had to be sent again."""
        return self._own.resent

    @property
    def first_unkept(self) -> int | None:
        """After a failure: the lowest position that may not be kept."""
        return self._own.first_unkept
