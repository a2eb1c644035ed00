"""The event stream's frames."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
from starlette.datastructures import Headers

from engine.bus.topics import AlarmNotice
from engine.console.live import Topic
from engine.console.pages.events import frames
from engine.console.viewer import Viewer
from engine.model.events import CallStage
from engine.model.ids import CallId
from tests.console.seed import ALICE, BOB, RED, WARNED, World


class Looking:
    """Of a request only what a viewer is made from."""

    def __init__(self, **cookies: str) -> None:
        self.cookies = cookies
        self.headers = Headers()


def viewer(language: str) -> Viewer:
    return Viewer.of(Looking(language=language))  # type: ignore[arg-type]


def parse(frame: bytes) -> tuple[str, str, object]:
    fields = dict(line.split(": ", 1) for line in frame.decode().strip().split("\n"))
    return fields["event"], fields.get("id", ""), json.loads(fields["data"])


async def read(stream: AsyncIterator[bytes], count: int) -> list[tuple[str, str, object]]:
    """The next frames that are events."""
    events = []
    while len(events) < count:
        frame = await asyncio.wait_for(anext(stream), 5)
        if frame.startswith(b"event:"):
            events.append(parse(frame))
    return events


async def test_a_call_is_told_in_the_viewers_words_with_todays_figures(world: World) -> None:
    stream = frames(world.services, viewer("zh-CN"), frozenset(Topic), world.feed.cursor, "")
    assert await anext(stream) == b"retry: 2000\n\n"
    await world.call("c-1", WARNED, ALICE, "warn", reason="reported_by_subscribers", level="yellow", ago_s=2)
    (name, event_id, call), (today, _, figures) = await read(stream, 2)
    assert (name, today) == ("call", "today")
    assert event_id == world.feed.cursor
    assert isinstance(call, dict) and isinstance(figures, dict)
    assert (call["verdict_text"], call["level_text"], call["reason_text"]) == ("已警示", "黄色", "被用户举报")
    assert (call["href"], call["live"], call["tone"]) == ("/calls/c-1", True, "amber")
    assert figures["calls"] == figures["warned"] == 1
    stage = CallStage(call_id=CallId("c-1"), stage="connected")
    await world.tell(world.clock() - timedelta(seconds=1), stage)
    (_, _, call), _ = await read(stream, 2)
    assert isinstance(call, dict) and (call["stage_text"], call["step"]) == ("通话中", 3)
    await stream.aclose()


async def test_a_handset_hears_its_own_popups_only_and_before_they_are_stored(world: World) -> None:
    stream = frames(world.services, viewer("en"), frozenset({Topic.POPUP}), world.feed.cursor, "13800138000")
    await anext(stream)
    world.show_popup(world.popup("p1", "c-1", "risk_warn", WARNED, BOB))
    world.show_popup(world.popup("p2", "c-2", "fraud_blocked", RED, ALICE))
    world.feed.call_changed("c-3")
    world.show_popup(world.popup("p3", "c-3", "risk_label", RED, ALICE))
    (name, _, first), (_, _, second) = await read(stream, 2)
    assert name == "popup"
    assert isinstance(first, dict) and isinstance(second, dict)
    assert (first["id"], second["id"]) == ("p2", "p3")
    assert first["text"] == f"A fraud call from {RED} was blocked: Suspected fraud."
    assert first["other_lang"] == "zh-CN" and first["kind_text"] == "A fraud call was blocked"
    await stream.aclose()


async def test_what_is_not_stored_or_not_asked_for_is_left_out(world: World) -> None:
    stream = frames(world.services, viewer("en"), frozenset({Topic.ALARM, Topic.CALL}), world.feed.cursor, "")
    await anext(stream)
    world.feed.call_changed("unknown")
    world.feed.transcript_changed("r-1")
    world.feed.alarm(AlarmNotice(node="n", at=1.0, slug="events_lost", detail="12..19"))
    (first, _, _), (second, _, _) = await read(stream, 2)
    assert {first, second} == {"alarm", "today"}
    await stream.aclose()


async def test_a_stream_that_missed_too_much_starts_over_and_one_that_is_closed_ends(world: World) -> None:
    stream = frames(world.services, viewer("en"), frozenset({Topic.CALL}), "otherboot-3", "")
    await anext(stream)
    ((name, event_id, _),) = await read(stream, 1)
    assert (name, event_id) == ("reset", world.feed.cursor)
    world.feed.close()
    assert [frame async for frame in stream] == []


async def test_the_answer_is_an_event_stream(world: World, client: httpx.AsyncClient) -> None:
    world.feed.close()
    response = await client.get("/events?topics=call,nonsense", headers={"last-event-id": "x" * 70})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert (await client.get("/events")).status_code == 422


async def test_a_flood_of_calls_is_told_as_one_reload(world: World) -> None:
    stream = frames(
        world.services, viewer("en"), frozenset({Topic.CALL, Topic.SWITCH}), world.feed.cursor, ""
    )
    await anext(stream)
    for n in range(200):
        world.feed.call_changed(f"c-{n}")
    world.feed.switch_changed()
    events = await read(stream, 3)
    assert [name for name, _, _ in events] == ["reset", "switch", "today"]
    assert events[0][1] == events[1][1] == world.feed.cursor
    await stream.aclose()
