"""User errors, which the command reports in one sentence without a traceback."""

from __future__ import annotations

from pathlib import Path

from cwt_runtime.bus.errors import BusError, StorageFullError, UnusableConnectionError
from cwt_runtime.process.embedded_server import FolderInUseError, ServerBinaryMissingError
from cwt_runtime.settings import SettingsError
from cwt_schemas.errors import ContractError
from pycwt_client.sources import SourceError

__all__ = ["FAILED", "USAGE", "CommandError", "expected_fault"]

FAILED = 1
USAGE = 2


class CommandError(Exception):
    """An error to show to the user in one sentence: its cause, and what to do.

    Attributes
    ----------
    exit_code : int
        1 for a failure, 2 for a command line or an input that cannot be used.
    """

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def expected_fault(error: BaseException) -> CommandError | None:
    """Return the message for `error`, or None if it is a bug, which keeps its traceback.

    For an exception group, return the message of the first member that has one.
    """
    match error:
        case CommandError():
            return error
        case BaseExceptionGroup():
            faults = [expected_fault(each) for each in error.exceptions]
            return None if None in faults else faults[0]
        case ContractError(__cause__=UnusableConnectionError()):
            return CommandError(error.message, USAGE)
        case ContractError():
            return CommandError(error.message)
        case StorageFullError():
            return CommandError(
                f"the signal log is full ({error}): raise CWT_SIGNALS_MAX_BYTES or lower "
                "CWT_SIGNALS_MAX_AGE_S, and restart ingest"
            )
        case BusError():
            return CommandError(f"the message bus failed: {error}")
        case FolderInUseError() | ServerBinaryMissingError():
            return CommandError(str(error))
        case OSError(filename=str() | Path() as name, strerror=str() as reason):
            return CommandError(f"cannot use {name}: {reason}", USAGE)
        case SourceError():
            return CommandError(str(error), USAGE)
        case SettingsError():
            return CommandError(f"invalid settings: {error}", USAGE)
        case _:
            return None
