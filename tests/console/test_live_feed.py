"""The fan-out: what a page gets, what it gets again, and when it is told to start over."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bus.topics import AlarmNotice, PopupNotice
from engine.console.live import LiveFeed, Notice, Subscription, Topic
from engine.model.ids import CallId, NumberId


def popup(popup_id: str) -> PopupNotice:
    return PopupNotice(
        popup_id=popup_id, call_id=CallId("c"), at=1.0, popup="risk_label", calling="1", text={}
    )


async def pending(subscription: Subscription) -> list[Notice]:
    return await subscription.next(0)


def told(notices: list[Notice]) -> list[tuple[Topic, str]]:
    return [(notice.topic, notice.key) for notice in notices]


async def test_a_page_hears_what_comes_after_its_cursor_in_order() -> None:
    feed = LiveFeed("b1")
    feed.call_changed("before")
    with feed.subscribe(feed.cursor) as page:
        feed.call_changed("c1")
        feed.popup(NumberId("n"), popup("p1"))
        feed.alarm(AlarmNotice(node="n", at=1.0, slug="events_lost", detail=""))
        feed.switch_changed()
        feed.transcript_changed("r1")
        assert told(await pending(page)) == [
            (Topic.CALL, "c1"),
            (Topic.POPUP, "p1"),
            (Topic.ALARM, "events_lost"),
            (Topic.SWITCH, ""),
            (Topic.TRANSCRIPT, "r1"),
        ]
        assert await pending(page) == []


async def test_changes_of_one_call_are_told_once_in_the_place_of_the_last() -> None:
    feed = LiveFeed("b1")
    with feed.subscribe(feed.cursor) as page:
        for call in ("c1", "c2", "c1", "c1"):
            feed.call_changed(call)
        notices = await pending(page)
    assert told(notices) == [(Topic.CALL, "c2"), (Topic.CALL, "c1")]
    assert [notice.seq for notice in notices] == sorted(notice.seq for notice in notices)


async def test_who_comes_back_gets_what_was_missed() -> None:
    feed = LiveFeed("b1")
    feed.call_changed("c1")
    seen = feed.cursor
    feed.call_changed("c2")
    feed.call_changed("c1")
    with feed.subscribe(seen) as page:
        assert told(await pending(page)) == [(Topic.CALL, "c2"), (Topic.CALL, "c1")]


@pytest.mark.parametrize("after", ["", "other-1", "b1-99", "b1--1", "b1-x", "b1-٣", "b1-0", "b1-1\n", "%00"])
async def test_a_cursor_that_cannot_be_followed_starts_over(after: str) -> None:
    feed = LiveFeed("b1", history=4)
    for n in range(6):
        feed.call_changed(f"c{n}")
    with feed.subscribe(after) as page:
        assert told(await pending(page)) == [(Topic.RESET, "")]
        feed.call_changed("next")
        assert told(await pending(page)) == [(Topic.CALL, "next")]


async def test_a_page_that_does_not_keep_up_is_cut_off_and_the_others_are_not() -> None:
    feed = LiveFeed("b1", queue=3)
    with feed.subscribe(feed.cursor) as slow, feed.subscribe(feed.cursor) as quick:
        for n in range(4):
            feed.call_changed(f"c{n}")
            assert told(await pending(quick)) == [(Topic.CALL, f"c{n}")]
        assert slow.closed and not quick.closed
        assert await pending(slow) == []


async def test_closing_ends_every_stream_now_and_later() -> None:
    feed = LiveFeed("b1")
    with feed.subscribe(feed.cursor) as page:
        waiting = asyncio.create_task(page.next(60))
        await asyncio.sleep(0)
        feed.close()
        assert await waiting == [] and page.closed
    with feed.subscribe(feed.cursor) as late:
        assert late.closed


async def test_alarms_are_kept_newest_first_until_seen() -> None:
    feed = LiveFeed("b1", alarms=2)
    for n in range(3):
        feed.alarm(AlarmNotice(node="n", at=float(n), slug=f"a{n}", detail=""))
    assert [alarm.slug for alarm in feed.alarms] == ["a2", "a1"]
    feed.acknowledge_alarms()
    assert feed.alarms == []


def test_the_boot_must_fit_into_an_event_id() -> None:
    for boot in ("", "a-b", "a\nb", "x" * 41):
        with pytest.raises(ValueError, match="boot"):
            LiveFeed(boot)


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=40), st.integers(0, 40), st.integers(1, 12))
def test_before_and_after_a_break_nothing_is_missed(calls: list[str], broken_at: int, history: int) -> None:
    """Whoever loads a page, hears some notices, breaks off and comes back knows of every change since."""

    async def run() -> None:
        feed = LiveFeed("b1", history=history)
        cut = min(broken_at, len(calls))
        for call in calls[:cut]:
            feed.call_changed(call)
        cursor = feed.cursor
        for call in calls[cut:]:
            feed.call_changed(call)
        with feed.subscribe(cursor) as page:
            notices = await pending(page)
        heard = {notice.key for notice in notices}
        assert heard == set(calls[cut:]) or told(notices) == [(Topic.RESET, "")]
        if len(calls) - cut <= history:
            assert (Topic.RESET, "") not in told(notices) or not calls[cut:]

    asyncio.run(run())
