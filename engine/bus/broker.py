"""The embedded broker: `python -m engine.bus.broker HOST:PORT KEY_FILE`, on loopback only.

For one host without a broker of its own. It lets in who knows the key in the file, whose mode keeps it from
other users, and it keeps nothing. Prints one line when it is ready, ends on SIGTERM and with its parent.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import sys
from pathlib import Path

from amqtt.broker import Broker
from amqtt.errors import BrokerError

from engine.bus.access import KeyPlugin
from engine.model.address import Address
from recordings.parent import die_with_parent


async def serve(address: Address, key: bytes) -> None:
    """Serve until SIGTERM. Raises BrokerError when the address cannot be bound."""
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": str(address)}},
            # Without such a plug-in nobody is let in. Those for logging and $SYS are left out.
            "plugins": {f"{KeyPlugin.__module__}.{KeyPlugin.__qualname__}": {"key": key.hex()}},
        }
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await broker.start()
    sys.stdout.write(f"broker listening on {address}\n")
    sys.stdout.flush()
    await stop.wait()
    await broker.shutdown()


def main(arguments: list[str]) -> int:
    try:
        text, key_file = arguments
        address = Address.parse(text)
        if not ipaddress.ip_address(address.host).is_loopback:
            raise ValueError(f"{address.host} is no loopback address; use a broker with authentication there")
        key = Path(key_file).read_bytes()
        if not key:
            raise ValueError(f"{key_file} is empty")
    except (ValueError, OSError) as error:
        sys.stderr.write(f"python -m engine.bus.broker HOST:PORT KEY_FILE: {error}\n")
        return 2
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the parent's to handle
    logging.basicConfig(level=logging.ERROR)
    # It reports clients that vanish, which is what killed processes do, as errors of its own.
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    try:
        asyncio.run(serve(address, key))
    except BrokerError as error:
        sys.stderr.write(f"broker: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
