"""Synchronous client for programs and notebooks without an event loop; same names and arguments.

>>> with connect("nats://127.0.0.1:4222") as client:  # doctest: +SKIP
...     with client.publisher("icu", epoch="boot-1") as publisher:
...         publisher.publish(samples)
...     with client.results("icu") as results:
...         for result in results:
...             print(result.channels, result.freqs_hz[0], result.values[:, -1])

Everything that is opened also has `close`, for notebooks, where a ``with`` cannot span cells.
"""

from pycwt_client.blocking.client import Client, Feed, Job, Publisher, connect

__all__ = ["Client", "Feed", "Job", "Publisher", "connect"]
