"""A small world for the console's tests: a real SQLite store, a real recording, real switches and a feed."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import soundfile

from engine.app import switches
from engine.bus.topics import PopupNotice
from engine.console.cards import Cards
from engine.console.live import LiveFeed
from engine.console.services import RiskRefused, Services, SwitchState
from engine.model.config import Config, DataSection, RedressSection
from engine.model.events import (
    AnyEvent,
    CallEnded,
    CallScreened,
    CallStage,
    CallStarted,
    Party,
    PopupSent,
    Record,
    RecordingClosed,
    RecordingStarted,
)
from engine.model.ids import CallId, EventId, NumberId, RecordingId, TenantId
from engine.model.outcome import Blame, Outcome
from engine.rtp.g711 import Law, encode
from engine.store.entries import NewRisk
from engine.store.store import Store
from recordings.archive import Archive
from recordings.chain import ChainWriter, Deed
from recordings.g711 import Codec
from recordings.transcripts import Segment, Transcript
from recordings.writer import CaptureWriter
from scoring.numbers import Action, Level, Numbering, Source, number_id

KEY = b"k" * 32
REDRESS = RedressSection(
    url="https://example.org/appeal", organisation="Lab 实验室", tel="+861096110", email="appeal@example.org"
)
TENANT = TenantId("lab")
RED, LABELLED, WARNED = "+8617000000001", "+8617000000002", "+8617000000003"
ALICE, BOB = "+8613800138000", "+8613900139000"
CLEAN, OTHER = "+8613611112222", "+8613722223333"
LINES = Path(__file__).resolve().parents[2] / "lab" / "speech" / "lines" / "en"
FRAME = 160


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def __call__(self) -> datetime:
        return self.now


class TestSwitches:
    """The real switch file, behind the console's protocol."""

    __test__ = False

    def __init__(self, path: Path, clock: Clock, feed: LiveFeed) -> None:
        self._path, self._clock, self._feed = path, clock, feed

    def state(self) -> SwitchState:
        found = switches.read_switch(self._path)
        return SwitchState(found.active(self._clock()), found.by, found.reason, found.expires)

    def turn_on(self, by: str, reason: str, expires: datetime) -> None:
        switches.turn_on(self._path, by, reason, self._clock(), expires)
        self._feed.switch_changed()

    def turn_off(self, by: str, reason: str) -> None:
        switches.turn_off(self._path, by, reason, self._clock())
        self._feed.switch_changed()


class TestRisk:
    """Changes go to the store; no worker is there to hear of them."""

    __test__ = False

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def add(self, new: NewRisk, by: str) -> None:
        if new.number == "110":
            raise RiskRefused("110 is an emergency number")
        await self._store.risk.put(TENANT, new, by=by, now=self._clock())

    async def remove(self, number: str, source: Source, by: str, reason: str) -> None:
        if not await self._store.risk.remove(TENANT, number, by=by, now=self._clock(), source=source):
            raise RiskRefused(f"{number} is not on the table")


@dataclass
class World:
    store: Store
    archive: Archive
    services: Services
    feed: LiveFeed
    clock: Clock
    _seq: itertools.count[int] = field(default_factory=itertools.count)

    def party(self, number: str) -> Party:
        return Party(number, self.services.number_id(number))

    async def tell(self, at: datetime, *events: AnyEvent) -> None:
        """Ship events, and tell the feed of the calls they are about."""
        await self.store.ship(
            [
                Record(
                    id=EventId("node-1", 1, next(self._seq)), at=at.timestamp(), tenant=TENANT, event=event
                )
                for event in events
            ]
        )
        for call_id in dict.fromkeys(getattr(event, "call_id", None) for event in events):
            if call_id is not None:
                self.feed.call_changed(call_id)

    async def call(
        self,
        call_id: str,
        calling: str,
        called: str,
        action: str,
        *,
        ago_s: float = 60.0,
        rule: str = "named-by-table",
        reason: str = "clean",
        level: str = "",
        direction: str = "inbound",
        stages: Sequence[str] = (),
        outcome: str = "",
        blame: Blame = Blame.CALLER,
        lasted_s: float = 0.0,
        status: int = 200,
    ) -> CallId:
        """A call that began `ago_s` ago; ended when it has an outcome."""
        at = self.clock() - timedelta(seconds=ago_s)
        known = CallId(call_id)
        started = CallStarted(
            call_id=known,
            direction=direction,
            trunk="access" if direction == "outbound" else "carrier",
            calling=self.party(calling),
            called=self.party(called),
        )
        screened = CallScreened(
            call_id=known,
            action=action,
            rule=rule,
            reason=reason,
            level=level,
            policy_version="5f2c91ab30de",
            table_version=4,
            label="Suspected fraud" if action in ("label", "warn") else "",
            appeal_code="K7QM-2XPD" if action == "reject" else "",
        )
        await self.tell(at, started)
        if direction != "dissuasion":
            await self.tell(at + timedelta(milliseconds=2), screened)
        for position, stage in enumerate(stages):
            await self.tell(
                at + timedelta(milliseconds=40 + 2300 * position), CallStage(call_id=known, stage=stage)
            )
        if outcome:
            await self.tell(
                at + timedelta(milliseconds=5, seconds=2.3 * len(stages) + lasted_s),
                CallEnded(
                    call_id=known,
                    outcome=Outcome(blame, outcome),
                    status=status,
                    answered="connected" in stages,
                    duration_ms=round(lasted_s * 1000),
                ),
            )
        return known

    def popup(self, popup_id: str, call_id: str, kind: str, calling: str, called: str) -> PopupSent:
        texts = {
            "risk_label": ("Incoming call from {}: Suspected fraud.", "来电 {}：疑似诈骗。"),
            "risk_warn": (
                "Incoming call from {}: Suspected fraud. You will hear a warning first. Do not send money.",
                "来电 {}：疑似诈骗。接听后会先播放提醒，请不要转账。",
            ),
            "fraud_blocked": (
                "A fraud call from {} was blocked: Suspected fraud.",
                "已为您拦截来自 {} 的诈骗电话：疑似诈骗。",
            ),
        }
        english, chinese = (text.format(calling) for text in texts[kind])
        return PopupSent(
            call_id=CallId(call_id),
            popup_id=popup_id,
            popup=kind,
            called=self.party(called),
            calling=self.party(calling),
            text={"en": english, "zh-CN": chinese},
            sip_result="200",
            bus_result="acknowledged",
        )

    def show_popup(self, sent: PopupSent) -> None:
        """As the bus does before the phone rings: nothing of it is in the store yet."""
        self.feed.popup(
            sent.called.id,
            PopupNotice(
                popup_id=sent.popup_id,
                call_id=sent.call_id,
                at=self.clock().timestamp(),
                popup=sent.popup,
                calling=sent.calling.number,
                text=sent.text,
            ),
        )

    async def record(self, recording_id: str, call_id: str, calling: str, called: str) -> str:
        """A closed recording of the lab's spoken lines, in the chain and in the store."""
        at = self.clock() - timedelta(minutes=5)
        path = self.archive.new_path(TENANT, recording_id, at)
        left, right = self.party(calling), self.party(called)
        writer = CaptureWriter(
            path,
            recording_id=recording_id,
            tenant=TENANT,
            call_id=call_id,
            started_at=at,
            codecs=(Codec.PCMA, Codec.PCMA),
            number_ids=(left.id, right.id),
        )
        for channel, slug, start_ms, end_ms in SPOKEN:
            samples, _ = soundfile.read(LINES / f"{slug}.flac", dtype="int16")
            sound = encode(samples, Law.PCMA)[: (end_ms - start_ms) * 8]
            for first in range(0, len(sound), FRAME):
                writer.write(channel, start_ms * 8 + first, sound[first : first + FRAME])
        manifest = writer.close("bye")
        relative = self.archive.relative(path)
        with self.chain() as chain:
            chain.append(Deed.CLOSED, manifest, relative, manifest.ended_at)
        await self.tell(
            at,
            RecordingStarted(
                call_id=CallId(call_id),
                recording_id=RecordingId(recording_id),
                path=relative,
                left=left,
                right=right,
            ),
        )
        await self.tell(
            manifest.ended_at,
            RecordingClosed(
                call_id=CallId(call_id),
                recording_id=RecordingId(recording_id),
                path=relative,
                duration_ms=round(manifest.duration_s * 1000),
                size_bytes=manifest.bytes,
                digest=manifest.sha256,
                languages=("en", "en"),
            ),
        )
        return recording_id

    def chain(self) -> ChainWriter:
        return ChainWriter(self.archive.folder, "media-1")

    async def transcribe(self, recording_id: str) -> None:
        """Finish the recording's job with what is said in it."""
        job = await self.store.jobs.lease_job(self.clock() + timedelta(seconds=1), 60.0, "test")
        assert job is not None and job.recording_id == recording_id
        segments = tuple(
            Segment(
                start_ms=start_ms,
                end_ms=end_ms,
                channel=channel,
                language="en",
                text=WORDS[slug],
                words=(),
            )
            for channel, slug, start_ms, end_ms in SPOKEN
        )
        await self.store.jobs.finish_job(
            job,
            Transcript(
                recording_id=recording_id,
                model="lab-en",
                version="1",
                languages=("en", "en"),
                segments=segments,
                duration_ms=SPOKEN[-1][3],
            ),
            self.clock(),
        )
        self.feed.transcript_changed(recording_id)

    async def risk(self, number: str, level: str, action: str, reason: str, **more: Any) -> None:
        new = NewRisk(
            number=number,
            level=Level(level),
            action=Action(action) if action else None,
            reason=reason,
            source=Source(more.pop("source", "import")),
            confirmed_by="li.na",
            **more,
        )
        await self.store.risk.put(TENANT, new, by="li.na", now=self.clock() - timedelta(days=2))


# Channel, line, start and end in the recording, milliseconds.
SPOKEN = (
    (1, "callee_hello", 300, 1100),
    (0, "caller_hello", 1500, 3900),
    (1, "callee_who", 4300, 6400),
    (0, "caller_problem", 6800, 8900),
    (0, "caller_transfer", 9400, 14000),
    (1, "callee_refuse", 14400, 18300),
)
WORDS = {
    "callee_hello": "hello",
    "caller_hello": "hello this is your bank calling",
    "callee_who": "who is this i do not believe you",
    "caller_problem": "there is a problem with your account",
    "caller_transfer": "i am calling from your bank please transfer the money to a safe account",
    "callee_refuse": "no i will not send any money",
}


@asynccontextmanager
async def make_world(folder: Path) -> AsyncIterator[World]:
    numbering = Numbering()
    clock = Clock()

    def file_number(tenant: str, text: str) -> NumberId:
        if text.endswith("*"):
            return NumberId(text.strip("+*").rjust(32, "f"))
        return NumberId(number_id(KEY, tenant, numbering.normalise(text)))

    config = msgspec.structs.replace(
        Config(tenant=TENANT, data=DataSection(folder=folder)),
        recording=msgspec.structs.replace(Config().recording, enabled=True),
    )
    archive = Archive(folder / "recordings")
    feed = LiveFeed("boot1")
    url = f"sqlite+aiosqlite:///{folder / 'store.sqlite'}"
    async with await Store.open(url, file_number=file_number) as store:
        services = Services(
            config=config,
            calls=store.calls,
            recordings=store.recordings,
            risk=store.risk,
            risk_service=TestRisk(store, clock),
            archive=archive,
            numbering=numbering,
            number_key=KEY,
            switches=TestSwitches(folder / "switches.json", clock, feed),
            feed=feed,
            now=clock,
            cards=Cards(bytes(32), REDRESS),
        )
        yield World(store, archive, services, feed, clock)
