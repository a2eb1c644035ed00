"""A pyVoIP telephone as a peer: its own environment, its own process, steered by nothing but its arguments.

pyVoIP is GPL-3 and is not imported here; `pyvoip_driver.py` runs in an environment made from `pyvoip.lock`.
"""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lab.peers import environment as environments
from lab.peers import tone
from lab.peers.process import Peer

_HERE = Path(__file__).parent
_LOCK = _HERE / "pyvoip.lock"


def environment(folder: Path) -> Path:
    """The Python of the telephone's environment in `folder`. Raises PeerError where it cannot be made."""
    return environments.environment(folder, _LOCK)


@dataclass(frozen=True, slots=True)
class Telephone:
    """Where the telephone stands and what it does with its one call."""

    address: str
    neighbour: str
    number: str
    tone_hz: float = 900.0
    talk_s: float = 3.0
    password: str = field(default="", repr=False)
    """To register with at its neighbour; without one it does not."""


class PyVoipPhone:
    """A telephone that is up and waits for its call."""

    def __init__(self, peer: Peer, heard: Path) -> None:
        self._peer = peer
        self._heard = heard

    @classmethod
    async def start(cls, python: Path, telephone: Telephone, folder: Path) -> "PyVoipPhone":
        """Start it and await its word that it is ready."""
        heard = folder / "heard.u8"
        place = (telephone.address, telephone.neighbour, telephone.number)
        manner = (f"{telephone.tone_hz:g}", f"{telephone.talk_s:g}", str(heard), telephone.password)
        command = [str(python), str(_HERE / "pyvoip_driver.py"), *place, *manner]
        phone = cls(await Peer.start("pyVoIP", command, folder / "pyvoip.log"), heard)
        await phone.event("ready", 15)
        return phone

    async def event(self, name: str, deadline_s: float = 15.0) -> dict[str, object]:
        """The first event of this name: `incoming` (caller, name), `answered` or `ended` (by_us)."""
        fields: dict[str, object] = json.loads(await self._peer.said(f'{{"event": "{name}"', deadline_s))
        return fields

    async def heard(self) -> tone.Samples:
        """What it heard in its call, as 16-bit samples."""
        raw = np.frombuffer(await asyncio.to_thread(self._heard.read_bytes), np.uint8)
        return ((raw.astype(np.int16) - 128) * 256).astype(np.int16)

    async def stop(self) -> None:
        """End the process."""
        await self._peer.stop()
