"""``python -m services.compute.calculator FD``: the fork server, and each calculator it forks.

FD is the descriptor of the socket on which a `ForkServer` sends its requests.
"""

from __future__ import annotations

import gc
import os
import socket
import sys

import threadpoolctl

from services.compute.calculator.answers import answer_frame, warm_up
from services.compute.calculator.fork_loop import ForkLoop
from services.compute.calculator.frames import HEADER_BYTES, Frame, header, header_of

#: Below live results and queries, which have a user waiting; a calculator uses what they leave.
NICENESS = 10


def main() -> None:
    """Fork calculators until the service ends; in a calculator, answer frames until then."""
    with threadpoolctl.threadpool_limits(1), socket.socket(fileno=int(sys.argv[1])) as requests:
        warm_up()
        gc.freeze()  # The collector would write to, and so copy, every page that the forks share.
        request = ForkLoop(requests).run()
        if request is not None:
            os.nice(NICENESS)
            answer_all(socket.socket(fileno=request.frames), request.worker)


def answer_all(connection: socket.socket, worker: str) -> None:
    """Answer frames, one after the other, until the service closes the connection."""
    with connection, connection.makefile("rwb") as stream:
        while len(head := stream.read(HEADER_BYTES)) == HEADER_BYTES:
            kind, length = header_of(head)
            body = stream.read(length)
            if len(body) < length:
                return
            answer = answer_frame(Frame(kind, body), worker)
            stream.write(header(answer))
            stream.write(answer.body)
            stream.flush()


if __name__ == "__main__":
    main()
