"""Asterisk 22 as the engine's neighbour: carrier trunk or access PBX, each instance on an address of its own.

One root serves all instances. Each runs in a private mount namespace in which its own folder, filled from
`dialplans/asterisk`, appears as `/instance`; the lab steers it through the manager interface.
"""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from lab.peers import tone
from lab.peers.ami import Ami, Block
from lab.peers.process import Peer, until

TEMPLATES = Path(__file__).parents[2] / "dialplans" / "asterisk"

_READY_S = 30.0
_MANAGER_PORT = 5038
_MANAGER_USER, _MANAGER_SECRET = "lab", "only-on-loopback"
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")

Role = Literal["carrier", "access"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one instance stands and who its only neighbour is; addresses are IPv4 loopback ones."""

    role: Role
    address: str
    engine_address: str
    port: int = 5060
    engine_port: int = 5060
    tone_hz: float = 700.0
    codecs: str = "alaw,ulaw"

    def values(self) -> dict[str, str]:
        """What the templates' placeholders stand for."""
        return {
            "role": self.role,
            "address": self.address,
            "port": str(self.port),
            "engine_address": self.engine_address,
            "engine_port": str(self.engine_port),
            "codecs": self.codecs,
            "send_pai": "yes" if self.role == "carrier" else "no",
            "manager_port": str(_MANAGER_PORT),
            "manager_secret": _MANAGER_SECRET,
            "verbose": "3",
        }


def render(template: str, values: dict[str, str]) -> str:
    """Fill `{{name}}` in; Asterisk's own `${…}` stays. Raises KeyError for a name without a value."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def prepare(root: Path, folder: Path, values: dict[str, str], *templates: Path) -> None:
    """Make an instance's folder: the templates filled in under `etc`, empty folders for what it writes.

    Of a file that is in several template folders the last one counts.
    """
    (modules,) = root.glob("usr/lib/*/asterisk/modules")
    for name in ("etc", "var", "run", "log", "heard"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    values = {**values, "modules": f"/{modules.relative_to(root)}"}
    for name, path in {path.name: path for source in templates for path in source.glob("*.conf")}.items():
        (folder / "etc" / name).write_text(render(path.read_text(encoding="utf-8"), values), encoding="utf-8")


async def launch(name: str, root: Path, folder: Path, core: int | None = None) -> Peer:
    """Start Asterisk on a prepared folder, `core` pinning it to one processor; it may not be ready yet."""
    # The shell replaces itself, so that the process we hold is Asterisk and not a wrapper.
    mount = 'mount --bind "$1" "$2/instance"'
    inside = f'{mount} && exec chroot "$2" asterisk -f -C /instance/etc/asterisk.conf'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", inside, "sh", folder, root]
    return await Peer.start(name, list(map(str, command)), folder / "log" / "console.log", core=core)


async def booted(peer: Peer) -> None:
    """Wait until a launched Asterisk says through its command line that it is fully booted."""
    inside = ("nsenter", "--target", str(peer.pid), "--mount", "--root", "--wd=/")
    command = ("asterisk", "-C", "/instance/etc/asterisk.conf", "-rx", "core waitfullybooted")

    async def says_so() -> bool:
        if not peer.alive:
            raise peer.error("ended while starting")
        asked = await asyncio.create_subprocess_exec(
            *inside, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        answer, _ = await asked.communicate()
        return b"fully booted" in answer

    await until(f"{peer.name} fully booted", says_so, _READY_S)


class Asterisk:
    """One running instance. `folder` holds its configuration, logs and what it heard."""

    def __init__(self, place: Place, folder: Path, peer: Peer, manager: Ami) -> None:
        self.place = place
        self.folder = folder
        self._peer = peer
        self._manager = manager

    @classmethod
    async def start(cls, root: Path, place: Place, folder: Path, core: int | None = None) -> Self:
        """Render, start and await the manager's FullyBooted event. Raises PeerError with the log's end."""
        prepare(root, folder, place.values(), TEMPLATES)
        tone.write_wav(folder / "tone.wav", tone.tone(place.tone_hz, 10))
        peer = await launch(f"asterisk {place.role}", root, folder, core)
        try:
            return cls(place, folder, peer, await _manager(peer, place))
        except BaseException:
            await peer.stop()
            raise

    async def stop(self) -> None:
        """End it and its manager connection."""
        await self._manager.close()
        await self._peer.stop()

    async def manners(self, **settings: str) -> None:
        """Set the called party's global variables (see `extensions.conf`) for the calls to come."""
        for name, value in settings.items():
            await self._manager.action("Setvar", Variable=name, Value=value)

    async def call(self, caller: str, called: str, ref: str, give_up_s: float = 60.0) -> None:
        """Start a call through the engine as `caller`, who waits so long for an answer.

        `ref` names its events and its recording.
        """
        await self._manager.action(
            "Originate",
            {"__REF": ref},
            Channel=f"Local/{called}@calling/n",
            Context="talking",
            Exten="s",
            Priority="1",
            CallerID=caller,
            Timeout=str(round(give_up_s * 1000)),
            Async="true",
        )

    async def event(self, name: str, deadline_s: float = 15.0, **fields: str) -> Block:
        """Await the first event called `name` whose fields have these values."""
        return await self._manager.event(
            name, lambda block: all(block.get(key) == value for key, value in fields.items()), deadline_s
        )

    def seen(self, name: str) -> list[Block]:
        """Every user event called `name` so far."""
        return [block for block in self._manager.events if block.get("UserEvent") == name]

    async def heard(self, ref: str) -> tone.Samples:
        """What this side heard in the finished call `ref` (a called party: the number called)."""
        path = self.folder / "heard" / f"{ref}.wav"

        async def closed() -> bool:
            return path.exists() and _size_written(path)

        await until(f"the end of {path}", closed, 5.0)
        return tone.read_wav(path)


def _size_written(path: Path) -> bool:
    """Whether a WAV header counts what follows it: Asterisk fills the sizes in on closing."""
    content = path.read_bytes()
    return len(content) > 44 and int.from_bytes(content[40:44], "little") == len(content) - 44


async def _manager(peer: Peer, place: Place) -> Ami:
    """The logged-in manager connection of an instance that has fully booted."""
    found: list[Ami] = []

    async def connect() -> bool:
        if not peer.alive:
            raise peer.error("ended while starting")
        try:
            found.append(await Ami.connect(place.address, _MANAGER_PORT, _MANAGER_USER, _MANAGER_SECRET))
        except OSError:
            return False
        return True

    await until(f"the manager port of {peer.name}", connect, _READY_S)
    await found[0].event("FullyBooted", lambda _: True, _READY_S)
    return found[0]
