"""The client: define streams, publish signals, read results, put them together.

>>> async with connect("nats://127.0.0.1:4222") as client:  # doctest: +SKIP
...     async with client.results("icu") as results:
...         async for result in results:
...             print(result.channels, result.freqs_hz[0], result.values[:, -1])

`pycwt_client.blocking` is the same without an event loop; `pycwt_client.sources` has files and
devices.
"""

from cwt_runtime.installation import install_hint, is_own_module

try:
    from cwt_runtime.connect_settings import ConnectSettings
    from pycwt_client.answers import CwtAnswer, MwctAnswer, PwctAnswer, WctAnswer, XwtAnswer
    from pycwt_client.client import Client
    from pycwt_client.connection import connect
    from pycwt_client.epochs import Epochs
    from pycwt_client.estimates import Estimates
    from pycwt_client.export import Export
    from pycwt_client.feed import Feed
    from pycwt_client.jobs import Job, TaskResult
    from pycwt_client.publisher import Publisher, new_epoch
    from pycwt_client.scalogram import Picture, Scalogram
except ModuleNotFoundError as error:
    if is_own_module(error.name):
        raise
    raise ModuleNotFoundError(
        f"cannot import pycwt_client: {error.name} is not installed; {install_hint('system')}",
        name=error.name,
    ) from error

__all__ = [
    "Client",
    "ConnectSettings",
    "CwtAnswer",
    "Epochs",
    "Estimates",
    "Export",
    "Feed",
    "Job",
    "MwctAnswer",
    "Picture",
    "Publisher",
    "PwctAnswer",
    "Scalogram",
    "TaskResult",
    "WctAnswer",
    "XwtAnswer",
    "connect",
    "new_epoch",
]
