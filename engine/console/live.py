"""What is told to open pages at once: an in-memory fan-out, and its frames as server-sent events.

A notice says that something changed; a page that missed some catches up by the id of the last it saw,
or, when that is too long ago, loads its list anew (`reset`). Each client has a bounded queue; one that
does not keep up is cut off and comes back the same way. All methods belong to one event loop.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from engine.bus.topics import AlarmNotice, PopupNotice
from engine.model.ids import NumberId


class Topic(StrEnum):
    CALL = "call"
    POPUP = "popup"
    ALARM = "alarm"
    SWITCH = "switch"
    TRANSCRIPT = "transcript"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class LivePopup:
    """A popup as it left for the subscriber `number_id`; pages show it before the phone rings."""

    number_id: NumberId
    notice: PopupNotice


@dataclass(frozen=True, slots=True)
class Notice:
    seq: int
    topic: Topic
    key: str
    body: LivePopup | AlarmNotice | None = None


class Subscription:
    """One page's queue: the newest notice for each thing, oldest first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pending: OrderedDict[tuple[Topic, str], Notice] = OrderedDict()
        self._wake = asyncio.Event()
        self.closed = False

    def offer(self, notice: Notice) -> None:
        key = (notice.topic, notice.key)
        self._pending.pop(key, None)
        if len(self._pending) >= self._limit:
            self.close()
        else:
            self._pending[key] = notice
            self._wake.set()

    def close(self) -> None:
        self.closed = True
        self._wake.set()

    async def next(self, timeout_s: float) -> list[Notice]:
        """Everything pending; empty after `timeout_s` without any, or when closed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return []
        if self.closed:
            return []
        self._wake.clear()
        notices = list(self._pending.values())
        self._pending.clear()
        return notices


class LiveFeed:
    """Fed by the process that hears the bus; read by the pages' event streams."""

    def __init__(self, boot: str, *, history: int = 1024, queue: int = 2048, alarms: int = 20) -> None:
        if re.fullmatch(r"[0-9A-Za-z]{1,40}", boot) is None:
            raise ValueError(f"boot must be letters and digits, not {boot!r}")
        self._boot = boot
        self._seq = 0
        self._queue = queue
        self._history: deque[Notice] = deque(maxlen=history)
        self._alarms: deque[AlarmNotice] = deque(maxlen=alarms)
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    # --- from the bus ---------------------------------------------------------

    def call_changed(self, call_id: str) -> None:
        self._publish(Topic.CALL, call_id)

    def popup(self, number_id: NumberId, notice: PopupNotice) -> None:
        """`number_id` is the last level of the topic that the notice came on."""
        self._publish(Topic.POPUP, notice.popup_id, LivePopup(number_id, notice))

    def alarm(self, alarm: AlarmNotice) -> None:
        self._alarms.append(alarm)
        self._publish(Topic.ALARM, alarm.slug, alarm)

    def switch_changed(self) -> None:
        self._publish(Topic.SWITCH, "")

    def transcript_changed(self, recording_id: str) -> None:
        self._publish(Topic.TRANSCRIPT, recording_id)

    # --- to the pages ---------------------------------------------------------

    @property
    def cursor(self) -> str:
        """Take it before reading what a page shows: the page then asks for what came after."""
        return f"{self._boot}-{self._seq}"

    def id_of(self, notice: Notice) -> str:
        return f"{self._boot}-{notice.seq}"

    @property
    def alarms(self) -> list[AlarmNotice]:
        """Newest first."""
        return list(reversed(self._alarms))

    def acknowledge_alarms(self) -> None:
        self._alarms.clear()

    @contextmanager
    def subscribe(self, after: str) -> Iterator[Subscription]:
        """`after`: cursor of a page or id of the last event seen; an unknown one gives a `reset`."""
        subscription = Subscription(self._queue)
        if self._closed:
            subscription.close()
        else:
            for notice in self._missed(after):
                subscription.offer(notice)
            self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()

    def _missed(self, after: str) -> list[Notice]:
        match = re.fullmatch(r"([0-9A-Za-z]{1,40})-([0-9]{1,18})", after)
        oldest = self._history[0].seq if self._history else self._seq + 1
        if match is None or match[1] != self._boot or not oldest - 1 <= int(match[2]) <= self._seq:
            return [Notice(self._seq, Topic.RESET, "")]
        newest: OrderedDict[tuple[Topic, str], Notice] = OrderedDict()
        for notice in self._history:
            if notice.seq > int(match[2]):
                newest.pop((notice.topic, notice.key), None)
                newest[notice.topic, notice.key] = notice
        if len(newest) > self._queue // 2:
            return [Notice(self._seq, Topic.RESET, "")]
        return list(newest.values())

    def _publish(self, topic: Topic, key: str, body: LivePopup | AlarmNotice | None = None) -> None:
        self._seq += 1
        notice = Notice(self._seq, topic, key, body)
        self._history.append(notice)
        for subscription in list(self._subscriptions):
            subscription.offer(notice)
            if subscription.closed:
                self._subscriptions.discard(subscription)
