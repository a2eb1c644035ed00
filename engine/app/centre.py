"""The centre: console, journal shipper, dialler and transcription over one store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvicorn

from engine.app.buses import bus_of
from engine.app.centre_metrics import CentreMetrics
from engine.app.closing import Closing
from engine.app.config import ConfigError
from engine.app.dialling import Dialler
from engine.app.keys import load_keys
from engine.app.numbering import numbering_of
from engine.app.risk_table import RiskTable
from engine.app.shipping import Shipping
from engine.app.switches import SwitchError, SwitchView, turn_off, turn_on
from engine.app.transcription import Transcription
from engine.bus.client import Bus
from engine.bus.topics import ALARMS, JOURNAL, POPUPS, AlarmNotice, PopupNotice
from engine.console.app import create_app
from engine.console.cards import Cards
from engine.console.live import LiveFeed
from engine.console.requests import Requests
from engine.console.services import RiskRefused, Services, SwitchState
from engine.model.config import Config
from engine.model.events import Alarm, AnyEvent, KillSwitchChanged, PolicyLoaded, Record
from engine.model.ids import NumberId, TenantId
from engine.store.entries import LeadRule
from engine.store.store import Store
from recordings.archive import Archive

_log = logging.getLogger(__name__)


class FileSwitches:
    """The kill switch in its file, as the console turns it."""

    def __init__(self, path: Path, feed: LiveFeed) -> None:
        self._path = path
        self._feed = feed
        self._view = SwitchView(path)

    def state(self) -> SwitchState:
        """As every worker sees it: a file that cannot be read counts as it did before."""
        now = _now()
        try:
            self._view.poll(now)
        except SwitchError as error:
            _log.error("%s", error)
        switch = self._view.switch
        return SwitchState(switch.active(now), switch.by, switch.reason, switch.expires)

    def turn_on(self, by: str, reason: str, expires: datetime) -> None:
        turn_on(self._path, by, reason, _now(), expires)
        self._feed.switch_changed()

    def turn_off(self, by: str, reason: str) -> None:
        turn_off(self._path, by, reason, _now())
        self._feed.switch_changed()


def _now() -> datetime:
    return datetime.now(UTC)


async def run_centre(config: Config, stop: asyncio.Event, say: Callable[[str], None]) -> int:
    """Run until `stop`. Raises ConfigError, OSError, RiskRefused or SQLAlchemyError when it cannot start."""
    async with AsyncExitStack() as stack:
        config.data.folder.mkdir(parents=True, exist_ok=True)
        tenant = TenantId(config.tenant)
        numbering = numbering_of(config)
        keys = load_keys(config.data.folder)
        rule = LeadRule(enabled=config.dissuasion.enabled, delay_s=config.dissuasion.delay_s)
        store = await Store.open(config.store_url, file_number=keys.file_number, lead_rule=rule)
        stack.push_async_callback(store.close)
        risk = RiskTable(store.risk, tenant, config.hot_table, numbering, _now)
        await _load_risk(config, risk)
        feed = LiveFeed(secrets.token_hex(8))
        archive = Archive(config.recordings_folder)

        def alarm(slug: str, detail: str) -> None:
            """Of the store itself: it goes to the open pages past the store."""
            node = f"{config.node.id}-centre"
            feed.alarm(AlarmNotice(node=node, at=_now().timestamp(), slug=slug, detail=detail))

        shipping = Shipping(config.journal_folder, store, tenant, lambda new: _tell(feed, new), alarm)
        stack.callback(shipping.close)
        requests: Requests = {}
        figures = CentreMetrics(requests, shipping, store.leads)
        stack.enter_context(figures.metrics.measured())
        services = Services(
            config=config,
            calls=store.calls,
            recordings=store.recordings,
            risk=store.risk,
            risk_service=risk,
            archive=archive,
            numbering=numbering,
            number_key=keys.number_id,
            switches=FileSwitches(config.switches_file, feed),
            feed=feed,
            now=_now,
            cards=Cards(keys.card, config.redress),
            metrics=figures.text,
            requests=requests,
        )
        listening = stack.enter_context(_bound(config.console.host, config.console.port))
        server = _Server(
            uvicorn.Config(
                create_app(services), log_level="warning", lifespan="off", timeout_graceful_shutdown=3
            )
        )
        bus = await stack.enter_async_context(bus_of(config, keys, "centre"))
        await _subscribe(bus, tenant, feed, shipping)
        transcription = Transcription(config, store.jobs, archive, _now, feed.transcript_changed)
        closing = Closing(config, store.recordings, archive, _now, feed.transcript_changed)
        tasks = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("shipping", shipping.run()),
                ("dialler", Dialler(config, store.leads, bus, _now).run()),
                ("transcription", transcription.run()),
                ("closing", closing.run()),
            )
        ]
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await server.ready.wait()
        say(f"listening on http://{config.console.host}:{config.console.port}")
        await stop.wait()
        feed.close()
        server.should_exit = True
        await serving
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                _log.error("a part of the centre ended in an error: %r", result)
    return 0


class _Server(uvicorn.Server):
    """Tells when it is ready, and leaves signals to this process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bound(host: str, port: int) -> socket.socket:
    """The console's socket. Raises ConfigError naming the key."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConfigError(f"console.port: {host}:{port} cannot be listened on: {error.strerror}") from None
    return bound


async def _load_risk(config: Config, risk: RiskTable) -> None:
    """The CSV of the configuration is the imported part of the table; without one the store alone counts."""
    if config.screening.table is None:
        await risk.rebuild()
        return
    try:
        loaded = await risk.load(config.screening.table, by="configuration", configured=True)
    except (RiskRefused, OSError) as error:
        raise ConfigError(f"screening.table: {error}") from None
    for problem in loaded.problems:
        _log.warning("%s", problem)


async def _subscribe(bus: Bus, tenant: TenantId, feed: LiveFeed, shipping: Shipping) -> None:
    async def popup(topic: str, payload: bytes) -> None:
        notice = msgspec.json.decode(payload, type=PopupNotice)
        feed.popup(NumberId(topic.rsplit("/", 1)[1]), notice)

    async def alarm(topic: str, payload: bytes) -> None:
        feed.alarm(msgspec.json.decode(payload, type=AlarmNotice))

    async def grown(topic: str, payload: bytes) -> None:
        shipping.wake()

    await bus.subscribe(POPUPS.filter(tenant), popup)
    await bus.subscribe(ALARMS.filter(tenant), alarm)
    await bus.subscribe(JOURNAL.filter(tenant), grown)


def _tell(feed: LiveFeed, records: Sequence[Record]) -> None:
    """Open pages hear of what is now in the store."""
    for record in records:
        event = record.event
        alarm = _alarm(event)
        if alarm is not None:
            feed.alarm(
                AlarmNotice(
                    node=record.id.node,
                    at=record.at,
                    slug=alarm.slug,
                    detail=alarm.detail,
                    call_id=alarm.call_id,
                )
            )
        if isinstance(event, KillSwitchChanged):
            feed.switch_changed()
        call_id = getattr(event, "call_id", None)
        if call_id is not None:
            feed.call_changed(call_id)
        recording_id = getattr(event, "recording_id", None)
        if recording_id is not None:
            feed.transcript_changed(recording_id)


def _alarm(event: AnyEvent) -> Alarm | None:
    """What of an event a person must look at."""
    if isinstance(event, Alarm):
        return event
    if isinstance(event, PolicyLoaded) and event.error:
        return Alarm(slug="policy_refused", detail=event.error)
    return None
