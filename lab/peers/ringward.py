"""The engine as the peers meet it: the real `ringward engine` process, its log and its journal."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from engine.journal.reader import JournalReader
from engine.model.events import AnyEvent, CallEnded, CallStarted, Event
from lab.peers.process import Peer, until

CHECKOUT = Path(__file__).parents[2]
_CONFIG = CHECKOUT / "lab" / "loopback.toml"
_READY_S = 60.0

_Kind = TypeVar("_Kind", bound=Event)


@dataclass(frozen=True, slots=True)
class Site:
    """The addresses of one lab: carrier, engine and access PBX in a /16 of loopback, all on port 5060."""

    prefix: str

    @property
    def carrier(self) -> str:
        return f"{self.prefix}.10.1"

    @property
    def engine(self) -> str:
        return f"{self.prefix}.20.1"

    @property
    def access(self) -> str:
        return f"{self.prefix}.30.1"

    def settings(self) -> dict[str, str]:
        """What `lab/loopback.toml` must be told to stand here."""
        return {
            "sip.listen": f"{self.engine}:5060",
            "trunk.carrier.match": self.carrier,
            "trunk.carrier.next_hop": f"{self.carrier}:5060",
            "trunk.access.match": self.access,
            "trunk.access.next_hop": f"{self.access}:5060",
        }


@dataclass(frozen=True, slots=True)
class Ended:
    """One call's beginning and end, as the journal has them."""

    started: CallStarted
    ended: CallEnded

    @property
    def outcome(self) -> str:
        """`blame/reason`, as `caller/cancelled`."""
        return str(self.ended.outcome)


class Ringward:
    """A running engine. Its journal is read as any other program would: from the data folder."""

    def __init__(self, site: Site, folder: Path, peer: Peer) -> None:
        self.site = site
        self.folder = folder
        self.peer = peer

    @property
    def target(self) -> str:
        """Where it takes calls, as address:port."""
        return f"{self.site.engine}:5060"

    async def event(self, kind: type[_Kind], deadline_s: float = 10.0) -> _Kind:
        """The first event of this kind, awaited if it is not in the journal yet."""
        found: list[_Kind] = []

        async def there() -> bool:
            found[:] = [event for event in self.events() if isinstance(event, kind)]
            return bool(found)

        await until(f"{kind.__name__} in the engine's journal", there, deadline_s)
        return found[0]

    def events(self) -> list[AnyEvent]:
        """Everything in the journal so far, oldest first."""
        found: list[AnyEvent] = []
        for path in sorted((self.folder / "data").glob("journal/*.sqlite")):
            with closing(JournalReader(path)) as reader:
                for _, records in reader.after(0, limit=100_000):
                    found.extend(record.event for record in records)
        return found

    async def calls(self, count: int, deadline_s: float = 5.0) -> list[Ended]:
        """The first `count` calls, in the order of their beginning, once all of them have ended.

        Raises PeerError where fewer have ended by then.
        """

        async def over() -> bool:
            return len(self._ended()) >= count

        await until(f"{count} ended calls in the engine's journal", over, deadline_s)
        return self._ended()

    async def calls_over(self, deadline_s: float = 5.0) -> None:
        """Wait until no call is open. Raises PeerError where the engine holds one longer."""

        async def over() -> bool:
            return len(self._ended()) == sum(isinstance(event, CallStarted) for event in self.events())

        await until("the end of every call in the engine's journal", over, deadline_s)

    def _ended(self) -> list[Ended]:
        events = self.events()
        ends = {event.call_id: event for event in events if isinstance(event, CallEnded)}
        begun = [event for event in events if isinstance(event, CallStarted)]
        return [Ended(event, ends[event.call_id]) for event in begun if event.call_id in ends]


@asynccontextmanager
async def edge(address: str, engine: str, users: Mapping[str, str], folder: Path) -> AsyncIterator[Peer]:
    """The edge at `address`, by `lab/edge.toml`, before the engine at `engine`; `users` have passwords."""
    chosen = {
        "edge.listen": f"{address}:5060",
        "edge.ws": "",
        "edge.engine": f"{engine}:5060",
        "data.folder": str(folder / "edge"),
        **{f"edge.users.{user}": password for user, password in users.items()},
    }
    sets = [text for key, value in chosen.items() for text in ("--set", f"{key}={value}")]
    program = Path(sys.executable).with_name("ringward")
    command = [str(program), "edge", "--config", str(CHECKOUT / "lab" / "edge.toml"), *sets]
    peer = await Peer.start("edge", command, folder / "edge.log", cwd=CHECKOUT)
    try:
        await peer.said("listening", _READY_S)
        yield peer
    finally:
        await peer.stop()


@asynccontextmanager
async def ringward(
    site: Site, folder: Path, settings: Mapping[str, str], core: int | None = None
) -> AsyncIterator[Ringward]:
    """The engine at `site`, by `lab/loopback.toml` and these settings; it writes only under `folder`."""
    chosen = {**site.settings(), "data.folder": str(folder / "data"), **settings}
    sets = [text for key, value in chosen.items() for text in ("--set", f"{key}={value}")]
    program = Path(sys.executable).with_name("ringward")
    command = [str(program), "engine", "--config", str(_CONFIG), *sets]
    peer = await Peer.start("ringward", command, folder / "engine.log", cwd=CHECKOUT, core=core)
    try:
        await peer.said("listening", _READY_S)
        yield Ringward(site, folder, peer)
    finally:
        await peer.stop()
