"""`python -m lab.phones NAME HOST:PORT LINES`: a phone process; orders on stdin, observations on stdout."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from engine import logs
from engine.app.processes import run, stop_event
from engine.model.address import Address
from lab.phones.messages import AnyOrder, Call, Expect, HangUp, Observation, Quit
from lab.phones.phone import LabPhone
from recordings.parent import die_with_parent


def tell(observation: Observation) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(observation) + b"\n")
    sys.stdout.buffer.flush()


async def serve(name: str, listen: Address, lines: Path) -> int:
    stop = stop_event()
    phone = LabPhone(name, listen, lines, tell)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    orders = asyncio.create_task(_orders(phone, reader, stop))
    await stop.wait()
    orders.cancel()
    phone.close()
    return 0


async def _orders(phone: LabPhone, reader: asyncio.StreamReader, stop: asyncio.Event) -> None:
    while line := await reader.readline():
        order = msgspec.json.decode(line, type=AnyOrder)
        match order:
            case Call():
                phone.call(order)
            case Expect():
                phone.expect(order)
            case HangUp():
                phone.hang_up()
            case Quit():
                break
    stop.set()


def main() -> int:
    name, listen, lines = sys.argv[1:]
    die_with_parent()
    logs.configure("phones")
    return run(serve(name, Address.parse(listen), Path(lines)))


if __name__ == "__main__":
    sys.exit(main())
