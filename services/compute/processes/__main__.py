"""``python -m services.compute.processes FD``: the fork server, and each process it forks.

FD is the descriptor of the socket on which a `ForkServer` sends its requests.
"""

from __future__ import annotations

import gc
import os
import socket
import sys

import threadpoolctl

from services.compute.processes.answers import answer_message, warm_up
from services.compute.processes.fork_loop import ForkLoop
from services.compute.processes.ipc import HEADER_BYTES, IpcMessage, header, header_of

#: Below live results and queries, for which a user waits; a compute process uses what they leave.
NICENESS = 10


def main() -> None:
    """Fork compute processes until the service ends; in each of them, answer requests."""
    with threadpoolctl.threadpool_limits(1), socket.socket(fileno=int(sys.argv[1])) as requests:
        warm_up()
        gc.freeze()  # The collector would write to, and so copy, every page that the forks share.
        request = ForkLoop(requests).run()
        if request is not None:
            os.nice(NICENESS)
            answer_all(socket.socket(fileno=request.frames), request.worker)


def answer_all(connection: socket.socket, worker: str) -> None:
    """Answer messages, one after the other, until the service closes the connection."""
    with connection, connection.makefile("rwb") as stream:
        while len(head := stream.read(HEADER_BYTES)) == HEADER_BYTES:
            kind, length = header_of(head)
            body = stream.read(length)
            if len(body) < length:
                return
            answer = answer_message(IpcMessage(kind, body), worker)
            stream.write(header(answer))
            stream.write(answer.body)
            stream.flush()


if __name__ == "__main__":
    main()
