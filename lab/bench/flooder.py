"""Sends OPTIONS from one source as fast as it can: `-m lab.bench.flooder SOURCE HOST PORT SECONDS MOST`.

Prints `flooding` once it begins, at the end how many it sent in how many seconds.
"""

import socket
import sys
import time
from contextlib import suppress

_AT_ONCE = 100


def flood(source: str, host: str, port: int, seconds: float, most: int) -> tuple[int, float]:
    """Bounded by both; (messages, seconds)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        sender.connect((host, port))
        begun = time.monotonic()
        sent = 0
        while sent < most and time.monotonic() - begun < seconds:
            for _ in range(_AT_ONCE):
                with suppress(ConnectionRefusedError):
                    sender.send(options(source, host, sent))
                sent += 1
        return sent, time.monotonic() - begun


def options(source: str, host: str, number: int) -> bytes:
    """A request of its own: transaction, dialog and all."""
    lines = (
        f"OPTIONS sip:{host} SIP/2.0",
        f"Via: SIP/2.0/UDP {source};rport;branch=z9hG4bK{source}.{number}",
        f"From: <sip:probe@{source}>;tag=f{number}",
        f"To: <sip:{host}>",
        f"Call-ID: {number}@{source}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:probe@{source}>",
        "Max-Forwards: 70",
        "Content-Length: 0",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


if __name__ == "__main__":
    print("flooding", flush=True)
    print(
        *flood(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])), flush=True
    )
