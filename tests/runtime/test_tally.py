"""What a worker counts, and that nobody outside can make labels of his own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.events import Alarm, CallEnded, CallScreened, CallStarted, Party
from engine.model.ids import CallId, NumberId, TenantId
from engine.model.outcome import Blame, Outcome
from engine.runtime.books import HAPPENED, RECEIVED, SENT, Books, EventLog, Trace
from engine.runtime.counting import CallCounting
from engine.runtime.tally import METHODS, Tally, by_class, by_method
from engine.sip.flow import Flow
from engine.sip.names import canonical


def _noted(tally: Tally, way: str, transport: str, data: bytes) -> None:
    """A message as the worker notes it."""
    silent = cast(CallCounting, SimpleNamespace(count=lambda: None))
    books = Books(tally, silent, cast(EventLog, None), TenantId("lab"), lambda refused: None)
    books.note((way, data, Flow(transport, ("192.0.2.1", 5060), ("192.0.2.2", 5060)), 0.0))
    books.settle()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_its_own_count(method: str) -> None:
    tally = Tally()
    _noted(tally, RECEIVED, "udp", f"{method} sip:1@host SIP/2.0\r\n".encode())
    assert {name: count for name, count in by_method(tally.messages_in["udp"]).items() if count} == {
        method: 1
    }
    assert not any(by_class(tally.messages_in["udp"]).values())


@pytest.mark.parametrize("status", [100, 199, 200, 302, 486, 503, 608])
def test_responses_are_counted_by_class(status: int) -> None:
    tally = Tally()
    _noted(tally, SENT, "tls", f"SIP/2.0 {status} Some\r\n".encode())
    counts = tally.messages_out["tls"]
    assert {name: count for name, count in by_class(counts).items() if count} == {f"{status // 100}xx": 1}
    assert not any(by_method(counts).values())


@given(st.lists(st.binary(max_size=40), max_size=50))
def test_whatever_comes_in_is_counted_under_known_names(messages: list[bytes]) -> None:
    tally = Tally()
    before = set(tally.messages_in["udp"])
    for data in messages:
        _noted(tally, RECEIVED, "udp", data)
    counts = tally.messages_in["udp"]
    assert set(counts) == before
    assert sum(by_method(counts).values()) + sum(by_class(counts).values()) == len(messages)


def test_a_call_is_counted_at_each_step() -> None:
    tally, party = Tally(), Party("+8613800138000", NumberId("n"))
    for name in ("a", "b"):
        tally.event(
            CallStarted(
                call_id=CallId(name), direction="inbound", trunk="carrier", calling=party, called=party
            )
        )
    tally.event(CallScreened(call_id=CallId("a"), action="reject", rule="mine", reason="police_list"))
    tally.event(CallEnded(call_id=CallId("a"), outcome=Outcome(Blame.POLICY, "rejected"), status=608))
    tally.event(CallEnded(call_id=CallId("b"), outcome=Outcome(Blame.CALLER, "cancelled")))
    tally.event(CallEnded(call_id=CallId("unknown"), outcome=Outcome(Blame.CALLER, "hung_up")))
    tally.event(Alarm(slug="media_failed", detail=""))
    assert tally.started == {"inbound": 2}
    assert tally.screened == {("reject", "mine"): 1}
    assert tally.ended == {
        ("inbound", "reject", "policy", "rejected"): 1,
        ("inbound", "", "caller", "cancelled"): 1,
        ("", "", "caller", "hung_up"): 1,
    }
    assert tally.alarms == {"media_failed": 1}


def test_reasons_for_discarding_are_few() -> None:
    tally = Tally()
    for reason in ("ACK matches no INVITE", "response matches no request", canonical("X-Wire-Text")):
        tally.discard(reason)
    assert {name: count for name, count in tally.discarded.items() if count} == {
        "stray_ack": 1,
        "stray_response": 1,
        "malformed": 1,
    }


def test_an_event_is_filed_though_it_cannot_be_traced() -> None:
    def fail(*what: object) -> None:
        raise OSError("no room")

    filed: list[object] = []
    journal = SimpleNamespace(extend=lambda tenant, events: filed.extend(event for event, _ in events))
    silent = cast(CallCounting, SimpleNamespace(count=lambda: None))
    books = Books(Tally(), silent, cast(EventLog, journal), TenantId("lab"), lambda refused: None)
    books.trace = cast(Trace, SimpleNamespace(happened=fail))
    event = Alarm(slug="any", detail="")
    books.note((HAPPENED, event, 0.0, 0.0))
    books.settle()
    assert filed == [event]
