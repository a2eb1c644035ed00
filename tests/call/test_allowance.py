"""How many popups a subscriber gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.call import allowance
from engine.call.allowance import Allowance
from engine.call.values import Decision, ScreeningRequest
from engine.model.events import Party, PopupSent
from engine.model.ids import NumberId
from engine.model.screening import Action
from tests.call.kit import NUMBER, POPUP, Lab, allow


def test_so_many_at_once_and_in_a_minute() -> None:
    some = Allowance(3)
    assert [some.take("a", 0.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert [some.take("a", at) for at in (10.0, 20.0, 20.1, 40.0, 40.1)] == [False, True, False, True, False]
    assert [some.take("a", 1000.0) for _ in range(5)] == [True] * 3 + [False] * 2


def test_each_receiver_has_its_own() -> None:
    some = Allowance(1)
    assert [some.take(each, 0.0) for each in "aabb"] == [True, False, True, False]


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "REMEMBERED", 2)
    some = Allowance(1)
    assert [some.take(each, 0.0) for each in "abacb"] == [True, True, False, True, True]


@given(st.integers(1, 20), st.lists(st.floats(0, 5), max_size=200))
def test_never_more_than_twice_in_any_minute(per_minute: int, pauses: list[float]) -> None:
    """The burst, and what came back meanwhile."""
    some, now, sent = Allowance(per_minute), 0.0, list[float]()
    for pause in pauses:
        now += pause
        if some.take("a", now):
            sent.append(now)
    for start in sent:
        assert sum(start <= at < start + 60 for at in sent) <= 2 * per_minute


def blocked(lab: Lab) -> None:
    """Every call is blocked, and its callee told."""

    def decide(request: ScreeningRequest) -> Decision:
        called = Party(request.called, NumberId(f"id of {request.called}"))
        return structs.replace(allow(request), action=Action.REJECT, popup=POPUP, called=called)

    lab.decide = decide


def test_a_campaign_of_blocked_calls_does_not_drown_a_subscriber() -> None:
    lab = Lab(popups_per_minute=2)
    blocked(lab)
    statuses = [lab.carrier.invite(NUMBER).status for _ in range(5)]
    assert statuses == [608] * 5
    assert len(lab.phone.messages) == len(lab.popups) == 2
    results = [(sent.sip_result, sent.bus_result) for sent in lab.of(PopupSent)]
    assert results == [("200", "acknowledged")] * 2 + [("limited", "limited")] * 3
    lab.carrier.invite("13900000003")
    assert len(lab.phone.messages) == 3
    lab.advance(30)
    lab.carrier.invite(NUMBER)
    assert len(lab.phone.messages) == 4
    lab.settle()


def test_a_labelled_call_rings_without_its_popup() -> None:
    lab = Lab(popups_per_minute=1)
    lab.verdict(action=Action.LABEL, label="x", popup=POPUP)
    for _ in range(2):
        lab.carrier.invite(NUMBER).cancel()
    assert len(lab.phone.messages) == 1
    assert len(lab.phone.calls) == 2
