"""Floods as fast as it can: `flooder.py SOURCE HOST PORT SECONDS MOST`; prints how many in how long."""

import socket
import sys
import time
from contextlib import suppress


def main(source: str, host: str, port: int, seconds: float, most: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.bind((source, 0))
        flood.connect((host, port))
        print("flooding", flush=True)
        begun = time.monotonic()
        sent = 0
        while sent < most and time.monotonic() - begun < seconds:
            for _ in range(100):
                message = (
                    f"OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/UDP {source};branch=z9hG4bK{sent}\r\n"
                    f"From: <sip:f@{source}>;tag=f\r\nTo: <sip:{host}>\r\nCall-ID: f{sent}\r\n"
                    "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
                )
                with suppress(ConnectionRefusedError):
                    flood.send(message.encode())
                sent += 1
        print(sent, time.monotonic() - begun, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
