"""An engine worker on a real socket between two bare ones; its table, journal and bus are lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from random import Random

from engine.app.engine import call_settings
from engine.app.paths import dialplans_folder
from engine.call.core import SipCore
from engine.call.trunks import Trunks
from engine.call.values import PopupRequested
from engine.model.address import Address
from engine.model.commands import Acknowledgement
from engine.model.config import BusSection, Config, DissuasionSection, SipSection
from engine.model.events import AnyEvent, CallEnded
from engine.model.ids import TenantId
from engine.model.media import AnyMediaCommand, OpenSession, SessionOpened
from engine.model.screening import HotEntry, Number
from engine.model.trunk_sections import TrunkSection
from engine.runtime.screener import Screener
from engine.runtime.worker import EngineWorker
from engine.screening import Policy
from engine.sip.ids import HashedIds
from engine.sip.message import Request, Response
from engine.sip.parse import parse
from engine.warning.announcements import load as load_catalogue
from scoring.numbers import Numbering
from tests.runtime.net import PATIENCE_S, Socket, host
from tests.screening.kit import shipped


class Table:
    """Holds nothing but what a test puts into it."""

    version = generation = 1

    def __init__(self) -> None:
        self.entries: dict[str, HotEntry] = {}

    def lookup(self, tenant: str, number: Number, at: datetime) -> HotEntry | None:
        return self.entries.get(number.display)


class Journal:
    def __init__(self) -> None:
        self._events: list[AnyEvent] = []
        self.settle: Callable[[], None] = lambda: None
        """Lets the worker tell what it has noted."""

    @property
    def events(self) -> list[AnyEvent]:
        self.settle()
        return self._events

    def extend(self, tenant: TenantId, events: Iterable[tuple[AnyEvent, float]]) -> None:
        self._events += [event for event, _ in events]


class Bus:
    def __init__(self) -> None:
        self.popups: list[PopupRequested] = []
        self.answers: asyncio.Queue[Acknowledgement] = asyncio.Queue()

    async def popup(self, requested: PopupRequested) -> str:
        self.popups.append(requested)
        return "acknowledged"

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        self.answers.put_nowait(acknowledgement)

    async def answer(self) -> Acknowledgement:
        return await asyncio.wait_for(self.answers.get(), PATIENCE_S)


class Port:
    """A media worker that opens every session and does nothing else."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.commands: list[AnyMediaCommand] = []

    def send(self, command: AnyMediaCommand) -> None:
        self.commands.append(command)
        if isinstance(command, OpenSession):
            ports = {name: ("127.0.0.1", 20000 + 2 * place) for place, name in enumerate(command.endpoints)}
            opened = SessionOpened(session=command.session, ports=ports)
            asyncio.get_running_loop().call_soon(lambda: self._bench.worker.media_event(opened))

    async def close(self) -> None:
        pass


class Bench:
    def __init__(
        self, engine: Address | None = None, policy: Policy | None = None, **changes: object
    ) -> None:
        """With another address, policy or sections of the configuration than its own."""
        self.engine = Address(host(), 5060) if engine is None else engine
        self.carrier, self.phone = Socket(host()), Socket(host())
        trunks = {
            "carrier": TrunkSection(
                side="carrier", match=(self.carrier.address[0],), next_hop=Address(*self.carrier.address)
            ),
            "access": TrunkSection(
                side="access", match=(self.phone.address[0],), next_hop=Address(*self.phone.address)
            ),
        }
        fields: dict[str, object] = {
            "tenant": "lab",
            "sip": SipSection(listen=self.engine),
            "trunk": trunks,
            "dissuasion": DissuasionSection(enabled=True, caller="96110"),
        }
        fields["bus"] = BusSection(url="mqtt://127.0.0.1")  # a broker: the bus below stands for it
        self.config = Config(**(fields | changes))  # type: ignore[arg-type]
        self.table, self.journal, self.bus = Table(), Journal(), Bus()
        numbering = Numbering()
        chance = Random(1)
        routes = Trunks(self.config.trunk, draw=lambda most: chance.randint(0, most))
        screener = Screener(
            self.config,
            numbering=numbering,
            table=self.table,
            policy=lambda: policy or shipped(),
            shadow=lambda: None,
            kill_switch=lambda: False,
            catalogue=load_catalogue(dialplans_folder() / "announcements.toml"),
            key=b"k" * 32,
            on_failure=lambda error: None,
            trunks=routes,
        )
        core = SipCore(
            call_settings(self.config),
            self.config.trunk,
            HashedIds(b"s" * 32),
            routes=routes,
            screen=screener,
            protects=screener.protects,
        )
        self.worker = EngineWorker(self.config, core, screener, numbering, self.journal, self.bus)
        self.journal.settle = self.worker.settle
        self.port = Port(self)
        self.worker.open(self.port)

    @property
    def target(self) -> tuple[str, int]:
        return self.engine.host, self.engine.port

    def request(
        self,
        method: str,
        number: str = "13900000002",
        body: bytes = b"",
        *extra: str,
        branch: str = "1",
        cseq: int = 1,
        answer: Response | None = None,
    ) -> bytes:
        """A request from the carrier; with the `answer` to its first INVITE, inside that dialog."""
        address = self.carrier.address
        call, to = branch, f"<sip:{number}@{self.engine.host}>"
        if answer is not None:
            call, to = "1", answer.rows("To")[0]
        lines = [
            f"{method} sip:{number}@{self.engine} SIP/2.0",
            f"Via: SIP/2.0/UDP {address[0]}:{address[1]};branch=z9hG4bK-{branch}",
            f"From: <sip:+8613800000001@{address[0]}>;tag=c-{call}",
            f"To: {to}",
            f"Call-ID: call-{call}",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
            f"Contact: <sip:c@{address[0]}:{address[1]}>",
            *extra,
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def outcomes(self) -> list[str]:
        """Of the calls that have ended, as blame/reason."""
        return [str(event.outcome) for event in self.journal.events if isinstance(event, CallEnded)]

    async def alive(self) -> None:
        """The worker answers an honest OPTIONS."""
        asking = Socket(self.carrier.address[0])
        data = self.request("OPTIONS", branch=f"honest-{asking.address[1]}")
        address = f"{self.carrier.address[0]}:{self.carrier.address[1]}"
        mine = f"{asking.address[0]}:{asking.address[1]}"
        asking.send(data.replace(address.encode(), mine.encode()), self.target)
        answer = parse(await asking.receive())
        assert isinstance(answer, Response) and answer.status == 200
        asking.close()

    async def close(self) -> None:
        await self.worker.close()
        self.carrier.close()
        self.phone.close()


async def read(socket: Socket, what: str) -> Request | Response:
    """The next message of that method or status; others before it are passed over."""
    while True:
        message = parse(await socket.receive())
        if what == (message.method if isinstance(message, Request) else str(message.status)):
            return message


def reply(request: Request, status: int, socket: Socket, body: bytes = b"") -> bytes:
    kept = ("Via", "From", "Call-ID", "CSeq")
    rows = [f"{name}: {value}" for name, value in request.headers if name in kept]
    to = request.rows("To")[0]
    rows.append(f"To: {to}" + ("" if ";tag=" in to else ";tag=phone"))
    rows.append(f"Contact: <sip:phone@{socket.address[0]}:{socket.address[1]}>")
    if body:
        rows.append("Content-Type: application/sdp")
    rows.append(f"Content-Length: {len(body)}")
    return "\r\n".join([f"SIP/2.0 {status} Whatever", *rows, "", ""]).encode() + body
