"""The bus client against real brokers: nothing here waits for a fixed time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.bus import Bus, BusStatus, PublishResult

if TYPE_CHECKING:
    from tests.bus.conftest import BrokerProcess

pytestmark = pytest.mark.wire

TOPIC = "ringward/v1/lab/alarms"


class Inbox:
    """What a handler got; `upto(n)` waits until that many have come."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._more = asyncio.Condition()

    async def take(self, topic: str, payload: bytes) -> None:
        async with self._more:
            self.messages.append((topic, payload))
            self._more.notify_all()

    async def upto(self, count: int) -> list[bytes]:
        async with self._more:
            await self._more.wait_for(lambda: len(self.messages) >= count)
        return [payload for _, payload in self.messages]


async def test_delivers_in_order_and_tells_when_the_broker_has_it(broker: BrokerProcess) -> None:
    inbox = Inbox()
    async with (
        Bus(broker.url, "sender", key=broker.key) as sender,
        Bus(broker.url, "receiver", key=broker.key) as receiver,
    ):
        await receiver.connected()
        await receiver.subscribe("ringward/v1/+/alarms", inbox.take)
        results = await asyncio.gather(*(sender.publish(TOPIC, b"%d" % i) for i in range(300)))
        assert set(results) == {PublishResult.ACKNOWLEDGED}
        assert await inbox.upto(300) == [b"%d" % i for i in range(300)]
        assert inbox.messages[0][0] == TOPIC


async def test_each_filter_gets_only_its_own(broker: BrokerProcess) -> None:
    alarms, calls = Inbox(), Inbox()
    async with Bus(broker.url, "n", key=broker.key) as bus:
        await bus.connected()
        await bus.subscribe("ringward/v1/lab/alarms", alarms.take)
        await bus.subscribe("ringward/v1/lab/calls/+", calls.take)
        bus.publish("ringward/v1/other/alarms", b"not ours")
        bus.publish("ringward/v1/lab/calls/c1", b"call")
        bus.publish("ringward/v1/lab/alarms", b"alarm")
        assert await alarms.upto(1) == [b"alarm"]
        assert await calls.upto(1) == [b"call"]


async def test_comes_back_after_the_broker_was_killed(broker: BrokerProcess) -> None:
    inbox = Inbox()
    async with Bus(broker.url, "n", key=broker.key) as bus:
        await bus.subscribe("ringward/v1/lab/#", inbox.take)
        await bus.connected()
        await bus.publish(TOPIC, b"before")
        await inbox.upto(1)
        await asyncio.to_thread(broker.kill)
        waiting = [bus.publish(TOPIC, b"meanwhile %d" % i) for i in range(3)]
        late = bus.publish(TOPIC, b"too late")
        late.cancel()
        await asyncio.to_thread(broker.start)
        assert await asyncio.gather(*waiting) == [PublishResult.ACKNOWLEDGED] * 3
        await bus.publish(TOPIC, b"after")
        assert await inbox.upto(5) == [
            b"before",
            b"meanwhile 0",
            b"meanwhile 1",
            b"meanwhile 2",
            b"after",
        ]


async def test_what_is_no_mqtt_message_is_dropped_alone(broker: BrokerProcess) -> None:
    async with Bus(broker.url, "n", key=broker.key) as bus:
        results = [bus.publish(topic, b"1") for topic in (TOPIC, "ringward/+/x", TOPIC)]
        assert await asyncio.gather(*results) == ["acknowledged", "dropped", "acknowledged"]


async def test_a_failing_handler_stops_nothing(broker: BrokerProcess) -> None:
    inbox = Inbox()

    async def fail(topic: str, payload: bytes) -> None:
        raise RuntimeError("no good")

    async with Bus(broker.url, "n", key=broker.key) as bus:
        await bus.connected()
        await bus.subscribe(TOPIC, fail)
        await bus.subscribe(TOPIC, inbox.take)
        for payload in (b"1", b"2"):
            await bus.publish(TOPIC, payload)
        assert set(await inbox.upto(2)) == {b"1", b"2"}


async def test_the_queue_is_bounded_and_drops_the_oldest() -> None:
    async with Bus("mqtt://127.0.0.1:1", "n", queue_messages=2) as bus:
        first, second, third = (bus.publish(TOPIC, payload) for payload in (b"1", b"2", b"3"))
        assert first.result() is PublishResult.DROPPED
        assert not second.done()
        assert not third.done()
        assert bus.status is BusStatus.CONNECTING
    assert second.result() is PublishResult.DROPPED  # closed with messages waiting
    assert third.result() is PublishResult.DROPPED


async def test_without_a_url_it_is_off() -> None:
    async with Bus("", "n") as bus:
        await bus.subscribe("ringward/v1/lab/#", Inbox().take)
        assert bus.status is BusStatus.OFF
        assert await bus.publish(TOPIC, b"1") is PublishResult.OFF


@pytest.mark.parametrize("url", ["http://127.0.0.1", "mqtt://", "127.0.0.1:1883"])
def test_refuses_what_is_no_mqtt_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"bus\.url"):
        Bus(url, "n")
