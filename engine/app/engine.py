"""The engine process: everything an engine worker needs, put together, run until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from engine.app.alarms import JOURNAL_FAILING, Alarms
from engine.app.buses import bus_of
from engine.app.collector import Collector
from engine.app.config import ROUTE, ConfigError
from engine.app.engine_metrics import EngineCollector, EngineParts
from engine.app.keys import Keys, load_keys
from engine.app.looking import Looking
from engine.app.metrics import Metrics, served
from engine.app.numbering import numbering_of
from engine.app.paths import dialplans_folder
from engine.app.policies import PolicyView, catalogue_labels
from engine.app.processes import Stop
from engine.app.switches import SwitchView
from engine.app.table import publish_csv
from engine.app.tracing import Tracing
from engine.bus.client import Bus, BusStatus
from engine.bus.topics import (
    ACKNOWLEDGEMENTS,
    ALARMS,
    CALLS,
    COMMANDS,
    JOURNAL,
    POPUPS,
    AlarmNotice,
    JournalNotice,
    PopupNotice,
    call_notice,
)
from engine.call.core import SipCore
from engine.call.trunks import Trunks
from engine.call.values import CallSettings, PopupRequested, Redress
from engine.journal import Journal, JournalBusy
from engine.media.port import WorkerPort
from engine.media.settings import WorkerSettings
from engine.model.commands import Acknowledgement
from engine.model.config import Config
from engine.model.events import KillSwitchChanged, PolicyLoaded, Record
from engine.model.ids import TenantId
from engine.runtime.callbacks import Callbacks
from engine.runtime.screener import Screener
from engine.runtime.transports import ListenError
from engine.runtime.worker import EngineWorker
from engine.screening import PolicyError
from engine.sdp import OwnAddresses
from engine.sip.ids import HashedIds
from engine.warning.announcements import Catalogue
from engine.warning.announcements import load as load_catalogue
from recordings.places import heads_path, key_path
from scoring.numbers import Numbering
from scoring.numbers.table_view import TableView

_log = logging.getLogger(__name__)


def own_addresses(config: Config) -> OwnAddresses:
    """Where no peer's description may point: the ports of our media and of our signalling."""
    ports = config.media.ports
    return OwnAddresses.of(
        (config.media_address, config.sip.listen.host),
        range(ports.low, ports.high + 1),
        (config.sip.listen.port,),
    )


def call_settings(config: Config) -> CallSettings:
    return CallSettings(
        tenant=config.tenant,
        contact=config.sip.listen,
        contacts={"tls": tls_listen} if (tls_listen := config.sip.tls.listen) is not None else {},
        no_answer_s=config.sip.no_answer_s,
        failover_s=config.sip.failover_s,
        redirects=config.sip.redirects,
        session_expires_s=config.sip.session_expires_s,
        anchor_always=config.media.anchor == "always",
        as_it_came=ROUTE if config.route.transport == "same" else "",
        redress=Redress(tel=config.redress.tel, email=config.redress.email),
        key_timeout_s=config.warning.key_timeout_s,
        warning_repeat=config.warning.repeat,
        dial_pause_s=config.warning.dial_pause_s,
        popup_deadline_s=config.popup.deadline_ms / 1000,
        popup_sender=config.popup.sender,
        popup_by_sip=config.popup.sip_message,
        popup_by_bus=bool(config.bus.url),
        popups_per_minute=config.popup.per_minute,
        dissuasion_agent=config.dissuasion.agent,
        own=own_addresses(config),
        audit_s=config.sip.audit_s,
        rtp_timeout_s=config.media.rtp_timeout_s,
    )


@dataclass(slots=True)
class Views:
    """What is read from files and may change while the engine runs."""

    table: TableView
    policy: PolicyView
    shadow: PolicyView | None
    switches: SwitchView
    blocking_off: bool = False


class BusPublisher:
    """Popups and acknowledgements by MQTT; "off" without a bus."""

    def __init__(self, config: Config, bus: Bus) -> None:
        self._tenant = TenantId(config.tenant)
        self._node, self._worker = config.node.id, config.node.worker
        self._bus = bus

    async def popup(self, requested: PopupRequested) -> str:
        notice = PopupNotice(
            popup_id=requested.popup_id,
            call_id=requested.call_id,
            at=time.time(),
            popup=requested.popup.kind,
            calling=requested.calling.number,
            text=dict(requested.popup.text),
        )
        topic = POPUPS.name(self._tenant, number_id=requested.called.id)
        return (await self._bus.publish(topic, msgspec.json.encode(notice))).value

    @property
    def reachable(self) -> bool:
        return self._bus.status is BusStatus.CONNECTED

    def alarm(self, slug: str, detail: str) -> None:
        notice = AlarmNotice(node=self._node, at=time.time(), slug=slug, detail=detail)
        self._bus.publish(ALARMS.name(self._tenant), msgspec.json.encode(notice))

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        topic = ACKNOWLEDGEMENTS.name(self._tenant, node=self._node, worker=self._worker)
        await self._bus.publish(topic, msgspec.json.encode(acknowledgement))

    def committed(self, records: Sequence[Record]) -> None:
        """Tell of events that are safe on disk: the calls' steps, and that the journal has grown."""
        for record in records:
            notice = call_notice(record)
            if notice is not None:
                topic = CALLS.name(record.tenant, call_id=notice.call_id)
                self._bus.publish(topic, msgspec.json.encode(notice), qos=0)
        wake = JournalNotice(node=self._node, last=records[-1].id)
        self._bus.publish(JOURNAL.name(self._tenant, node=self._node), msgspec.json.encode(wake), qos=0)


async def run_engine(config: Config, stop: Stop, say: Callable[[str], None]) -> int:
    """Run one engine worker until `stop`, then let it drain. `say` gets the line that tells it is ready.

    Raises ConfigError, PolicyError, TableError, CatalogueError, OSError and MediaWorkerError when it cannot
    start; the command line turns them into one line each.
    """
    async with AsyncExitStack() as stack:
        numbering = numbering_of(config)
        keys = load_keys(config.data.folder)
        alarms = Alarms(asyncio.get_running_loop())
        bus = await stack.enter_async_context(bus_of(config, keys, config.node.worker, alarms.raise_alarm))
        publisher = BusPublisher(config, bus)
        loop = asyncio.get_running_loop()

        def committed(records: Sequence[Record]) -> None:
            loop.call_soon_threadsafe(publisher.committed, records)

        told = committed if bus.status is not BusStatus.OFF else None  # nobody to tell: no need to wake up
        journal = stack.enter_context(_journal(config, told, alarms.raise_alarm))
        catalogue = load_catalogue(dialplans_folder() / "announcements.toml")
        views = _open_views(config, numbering, catalogue)  # after the journal: it tells whose folder this is
        trunks = Trunks(
            config.trunk,
            country_code=config.numbering.country_code,
            draw=lambda most: secrets.randbelow(most + 1),
        )
        callbacks = _open_callbacks(config, keys, alarms.raise_alarm)
        screener = Screener(
            config,
            numbering=numbering,
            table=views.table,
            policy=lambda: views.policy.policy,
            shadow=lambda: views.shadow.policy if views.shadow is not None else None,
            kill_switch=lambda: views.blocking_off,
            catalogue=catalogue,
            key=keys.number_id,
            on_failure=lambda error: alarms.raise_alarm("screening_failed", error),
            trunks=trunks,
            callbacks=stack.enter_context(closing(callbacks)),
        )
        ids = HashedIds(secrets.token_bytes(32))
        core = SipCore(
            call_settings(config),
            config.trunk,
            ids,
            routes=trunks,
            screen=screener,
            protects=screener.protects,
        )
        try:
            worker = EngineWorker(config, core, screener, numbering, journal, publisher)
        except ListenError as error:
            raise ConfigError(str(error)) from None
        stack.push_async_callback(worker.close)
        alarms.listen(lambda slug, detail: _tell(slug, detail, publisher, worker))
        media = await WorkerPort.start(media_settings(config), worker.media_event, worker.alarm)
        stack.push_async_callback(media.close)
        worker.open(media)
        worker.event(PolicyLoaded(version=views.policy.policy.version))
        topic = COMMANDS.name(TenantId(config.tenant), node=config.node.id, worker=config.node.worker)

        async def ask(topic: str, payload: bytes) -> None:
            worker.commands.take(payload)

        await bus.subscribe(topic, ask)
        tracing = Tracing(config, worker)
        stack.callback(tracing.close)
        tracing.look()
        parts = EngineParts(
            worker, journal, bus, media, views.table, tracing, blocking_off=lambda: views.blocking_off
        )
        metrics = Metrics("engine", EngineCollector(parts))
        collector = stack.enter_context(Collector(lambda: any(worker.counts().values())))
        stack.enter_context(served(metrics, config))  # from here on pauses are counted
        looking = Looking(
            (
                lambda: _look_at_table(views, worker),
                lambda: _look_at_switches(views, worker),
                lambda: _look_at_policies(views, worker),
                tracing.look,
                collector.look,
            ),
            worker.alarm,
        )
        stack.push_async_callback(looking.close)
        spoken = ", ".join(worker.transports)
        say(f"listening on {config.sip.listen} ({spoken}), policy {views.policy.policy.name}")
        await stop.wait()
        await worker.drain(config.sip.drain_s, stop.hurry)
    return 0


def _open_callbacks(config: Config, keys: Keys, alarm: Callable[[str, str], None]) -> Callbacks:
    """Shared by the workers of this data folder; without room for that, of this worker alone."""
    window_s = config.screening.callback_window_s
    try:
        return Callbacks(keys.number_id, config.tenant, window_s, config.callbacks_file)
    except OSError as error:
        alarm("callbacks_not_kept", f"{config.callbacks_file}: {error.strerror}")
        return Callbacks(keys.number_id, config.tenant, window_s)


def _tell(slug: str, detail: str, publisher: BusPublisher, worker: EngineWorker) -> None:
    """Once, in the way that works: what is wrong with the journal goes past it where there is a bus."""
    if slug == JOURNAL_FAILING and publisher.reachable:
        publisher.alarm(slug, detail)
    else:
        worker.alarm(slug, detail)


def media_settings(config: Config) -> WorkerSettings:
    folder = config.recordings_folder
    return WorkerSettings(
        name=f"{config.node.id}.{config.node.worker}",
        host=config.media_address,
        first_port=config.media.ports.low,
        last_port=config.media.ports.high,
        prompts_folder=str(dialplans_folder() / "prompts"),
        recordings_folder=str(folder),
        chain_heads=str(heads_path(folder)),
        chain_key=str(key_path(folder)),
        rtp_timeout_s=config.media.rtp_timeout_s,
        log_level=config.logging.level,
        log_format=config.logging.format,
    )


def _open_views(config: Config, numbering: Numbering, catalogue: Catalogue) -> Views:
    config.data.folder.mkdir(parents=True, exist_ok=True)
    if config.screening.table is not None:
        for problem in publish_csv(config, numbering):
            _log.warning("%s", problem)
    shadow = config.screening.shadow_policy
    labels = catalogue_labels(catalogue)
    return Views(
        table=TableView.open(config.hot_table),
        policy=PolicyView(config.screening.policy, numbering, labels),
        shadow=PolicyView(shadow, numbering, labels) if shadow is not None else None,
        switches=SwitchView(config.switches_file),
    )


def _look_at_table(views: Views, worker: EngineWorker) -> Coroutine[Any, Any, None] | None:
    return _read_table(views, worker) if views.table.new() else None


async def _read_table(views: Views, worker: EngineWorker) -> None:
    table, behind = views.table, True
    while behind:
        found = await asyncio.to_thread(table.look)
        table.take(found)
        if found.table is not None:
            _log.info("hot table version %d with %d entries", table.version, len(table))
        for problem in found.problems:
            worker.alarm("hot_table_refused", problem)
        behind = found.behind


def _look_at_policies(views: Views, worker: EngineWorker) -> Coroutine[Any, Any, None] | None:
    changed = views.policy.changed() or (views.shadow is not None and views.shadow.changed())
    return _read_policies(views, worker) if changed else None


async def _read_policies(views: Views, worker: EngineWorker) -> None:
    found = await asyncio.to_thread(views.policy.poll)
    if isinstance(found, PolicyError):
        kept = views.policy.policy.version
        _log.error("the changed policy was not taken, version %s stays in force: %s", kept, found)
        worker.event(PolicyLoaded(version=kept, error=str(found)))
    elif found is not None:
        _log.info("policy %s, version %s", found.name, found.version)
        worker.event(PolicyLoaded(version=found.version))
    if views.shadow is not None:
        await asyncio.to_thread(views.shadow.poll)


def _look_at_switches(views: Views, worker: EngineWorker) -> None:
    off = views.switches.poll(datetime.now(UTC))
    if off != views.blocking_off:
        views.blocking_off = off
        switch = views.switches.switch
        expires = switch.expires.timestamp() if switch.expires is not None else None
        worker.event(KillSwitchChanged(on=off, by=switch.by, reason=switch.reason, expires=expires))


@contextlib.contextmanager
def _journal(
    config: Config,
    on_committed: Callable[[Sequence[Record]], None] | None,
    on_alarm: Callable[[str, str], None],
) -> Iterator[Journal]:
    """This worker's journal. Raises ConfigError where it cannot be opened."""
    node = f"{config.node.id}-{config.node.worker}"
    try:
        journal = Journal(
            config.journal_folder, node, time.time(), on_committed=on_committed, on_alarm=on_alarm
        )
    except (JournalBusy, sqlite3.Error) as error:
        raise ConfigError(f"{config.journal_folder}: journal {node} cannot be opened: {error}") from None
    try:
        yield journal
    finally:
        journal.close()
