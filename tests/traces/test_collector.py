"""Messages sorted by call: which belong together, and what becomes of those there is no room for."""

from __future__ import annotations

import tracemalloc

from engine.traces.collector import (
    CALL_MESSAGES,
    LINGER_S,
    STRANGER_BYTES,
    STRANGERS,
    Collector,
    Raw,
    RawNote,
    RawPart,
)
from engine.traces.entries import Leg
from tests.traces.kit import CARRIER, PHONE, ended, opened, request, screened, short_call, started


def told(part: RawPart) -> list[str]:
    def word(item: object) -> str:
        match item:
            case Raw():
                return f"{item.way} {item.data.split(b' sip')[0].decode()[:11]}"
            case RawNote():
                return item.note.kind
            case Leg():
                return f"leg {item.role}"
        raise AssertionError(item)

    return [word(item) for item in part.items]


def test_both_legs_and_what_was_decided_are_one_story() -> None:
    collector = Collector()
    short_call(collector)
    (part,) = collector.take(3.0)
    assert (part.call_id, part.direction, part.dropped) == ("c1", "inbound", 0)
    assert told(part) == [
        "leg caller",
        "in INVITE",
        "call_screened",
        "out SIP/2.0 100",
        "leg callee",
        "out INVITE",
        "in INVITE",
        "in SIP/2.0 200",
        "in BYE",
        "call_ended",
        "out SIP/2.0 200",
    ]


def test_only_what_is_new_is_taken() -> None:
    collector = Collector()
    short_call(collector)
    collector.take(3.0)
    assert collector.take(3.1) == []
    collector.sent(request("BYE", "c1-out"), PHONE, 3.2)
    (part,) = collector.take(3.3)
    assert told(part) == ["out BYE"]


def test_calls_are_kept_apart_and_strangers_out() -> None:
    collector = Collector()
    short_call(collector, "c1")
    short_call(collector, "c2")
    collector.received(request("OPTIONS", "other"), CARRIER, 3.0)
    collector.received(b"no Call-ID at all", CARRIER, 3.0)
    collector.leg(opened("c9", "unknown"))
    collector.happened(screened("c9"), 3.0)
    one, two = collector.take(4.0)
    assert (one.call_id, two.call_id) == ("c1", "c2")
    assert one.messages == two.messages == 7


def test_late_messages_still_belong_to_the_call_and_then_it_is_forgotten() -> None:
    collector = Collector()
    short_call(collector)
    collector.take(LINGER_S)
    assert len(collector) == 1
    collector.received(request("ACK", "c1-in"), CARRIER, LINGER_S)
    (late,) = collector.take(LINGER_S + 2.0)
    assert told(late) == ["in ACK"]
    collector.take(LINGER_S + 3.0)
    assert len(collector) == 0
    collector.received(request("ACK", "c1-in"), CARRIER, LINGER_S + 4)
    assert collector.take(LINGER_S + 5) == []


def test_of_a_call_with_too_much_to_say_the_oldest_go_and_are_counted() -> None:
    collector = Collector()
    short_call(collector)
    for cseq in range(CALL_MESSAGES):
        collector.received(request("INFO", "c1-in", cseq), CARRIER, 3.0 + cseq)
    (part,) = collector.take(300.0)
    assert (part.messages, part.dropped, collector.dropped) == (CALL_MESSAGES, 7, 7)
    assert told(part)[:4] == ["leg caller", "call_screened", "leg callee", "call_ended"]


def test_all_together_have_a_bound_which_is_free_again_once_they_are_taken() -> None:
    collector = Collector(total_bytes=1_000)
    short_call(collector)
    for _ in range(20):
        collector.received(request("INFO", "c1-in", body=b"x" * 200), CARRIER, 3.0)
    (part,) = collector.take(4.0)
    assert sum(len(item.data) for item in part.items if isinstance(item, Raw)) <= 1_000
    assert part.dropped == collector.dropped > 0
    assert part.messages + part.dropped == 27
    collector.received(request("INFO", "c1-in", body=b"x" * 800), CARRIER, 5.0)
    (part,) = collector.take(6.0)
    assert (part.messages, part.dropped) == (1, 0)


def test_more_calls_than_there_is_room_for_are_left_out() -> None:
    collector = Collector(calls=2)
    for name in ("c1", "c2", "c3"):
        short_call(collector, name)
    assert [part.call_id for part in collector.take(4.0)] == ["c1", "c2"]
    assert collector.left_out == 1


def test_strangers_are_few() -> None:
    collector = Collector()
    collector.received(request("INVITE", "first"), CARRIER, 0.0)
    for count in range(STRANGERS):
        collector.received(request("INVITE", f"more-{count}"), CARRIER, 1.0)
    collector.happened(started("c1", "first"), 2.0)
    collector.happened(started("c2", "more-7"), 2.0)
    collector.happened(ended("c1"), 3.0)
    one, two = collector.take(4.0)
    assert (one.messages, two.messages) == (0, 1)


def test_messages_of_no_known_call_take_little_memory() -> None:
    collector = Collector()
    tracemalloc.start()
    for number in range(4 * STRANGERS):
        data = request("INVITE", f"other-{number % STRANGERS}") + b"x" * 50_000
        collector.received(data, CARRIER, 3.0)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 2 * STRANGER_BYTES
    collector.received(request("INVITE", "c1-in"), CARRIER, 3.0)
    collector.happened(started("c1", "c1-in"), 3.0)
    (part,) = collector.take(4.0)
    assert told(part) == ["leg caller", "in INVITE"]
