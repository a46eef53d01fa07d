"""Ports nobody uses: below the range the kernel hands out to clients, so that none is taken meanwhile."""

import random
import socket

taken = set()


def free_port():
    """A TCP port on loopback that is free and was not given out before in this run."""
    while True:
        port = random.randrange(20000, 32000)
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        taken.add(port)
        return port
