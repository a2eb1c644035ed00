"""The real program by `lab/passthrough.toml`, told what the file's first lines say."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lab.peers.process import Peer
from lab.peers.ringward import CHECKOUT

READY_S = 60.0
PORTS = range(12000, 12100)


@asynccontextmanager
async def passthrough(next_hop: tuple[str, int], folder: Path, **more: str) -> AsyncIterator[tuple[str, int]]:
    """Where it takes calls: on the next hop's own address. `more` names keys with `__` for the dot."""
    target = (next_hop[0], 5060)
    settings = {
        "sip.listen": f"{target[0]}:{target[1]}",
        "route.next_hop": f"{next_hop[0]}:{next_hop[1]}",
        "media.ports": f"{PORTS[0]}-{PORTS[-1]}",
        "data.folder": str(folder / "data"),
        **{key.replace("__", "."): value for key, value in more.items()},
    }
    sets = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
    program = Path(sys.executable).with_name("ringward")
    command = [str(program), "engine", "--config", str(CHECKOUT / "lab" / "passthrough.toml"), *sets]
    peer = await Peer.start("ringward", command, folder / "engine.log", cwd=CHECKOUT)
    try:
        await peer.said("listening", READY_S)
        yield target
        assert not [line for line in peer.lines if "Traceback" in line], peer.error("failed")
    finally:
        await peer.stop()
