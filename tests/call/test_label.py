"""Labelled calls: the popup goes first, the display names say what the number is."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from engine.call.timers import LATE_S
from engine.call.values import PopupPublished
from engine.model.events import PopupSent
from engine.model.screening import Action
from tests.call.kit import NUMBER, POPUP, TRUNKS, Lab

LABEL = "疑似诈骗 Suspected fraud"


@pytest.fixture(autouse=True)
def labelled(lab: Lab) -> None:
    lab.verdict(action=Action.LABEL, label=LABEL, popup=POPUP)


def results(lab: Lab) -> list[tuple[str, str]]:
    return [(sent.sip_result, sent.bus_result) for sent in lab.of(PopupSent)]


def test_the_popup_arrives_before_the_invite(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    assert lab.ladder() == ["C→E INVITE", "E→C 100", "E→S MESSAGE", "S→E 200 (MESSAGE)", "E→S INVITE"]
    (told,) = lab.phone.messages
    message = told.request
    assert message.body.decode() == "Suspected fraud."
    assert message.get("Content-Type") == "text/plain;charset=UTF-8"
    assert str(message.uri) == f"sip:{NUMBER}@127.0.30.1:5060"
    assert message.from_.uri.user == "96110"
    assert lab.popups[0].popup is POPUP
    assert results(lab) == [("200", "acknowledged")]
    ask.cancel()


def test_the_display_name_is_the_label(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, display='"Bank of China"')
    request = lab.phone.calls[0].invite.request
    assert request.from_.display == LABEL
    assert request.from_.uri.user == "+8613800000001"
    assert "Bank" not in request.to_bytes().decode()
    assert request.get("Call-Info") is None
    ask.cancel()


def test_the_label_says_where_to_turn_to(lab: Lab) -> None:
    lab.verdict(action=Action.LABEL, label=LABEL, redress="https://example.org/appeal")
    ask = lab.carrier.invite(NUMBER)
    assert lab.phone.calls[0].invite.request.get("Call-Info") == "<https://example.org/appeal>;purpose=info"
    ask.cancel()


def test_asserted_identities_are_labelled_too_where_they_may_pass(lab: Lab) -> None:
    lab.verdict(action=Action.LABEL, label=LABEL, pass_identity=True)
    identities = '"Bank" <sip:+8613800000001@a.example>, <tel:+8613800000001>'
    ask = lab.carrier.invite(NUMBER, headers=[("P-Asserted-Identity", identities)])
    request = lab.phone.calls[0].invite.request
    assert request.get_all("P-Asserted-Identity") == [
        f'"{LABEL}" <sip:+8613800000001@a.example>',
        f'"{LABEL}" <tel:+8613800000001>',
    ]
    ask.cancel()


@pytest.mark.parametrize("identity", ["<sip:", "nonsense <", '"', "<sip:a@b>;=", "\u00e9\u00e9 <x"])
def test_an_asserted_identity_that_cannot_be_read_is_none(lab: Lab, identity: str) -> None:
    lab.verdict(pass_identity=True)
    ask = lab.carrier.invite(NUMBER, headers=[("P-Asserted-Identity", identity)])
    assert lab.phone.calls[0].invite.request.get("P-Asserted-Identity") is None
    ask.cancel()


def test_asserted_identities_do_not_pass_untrusted(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, headers=[("P-Asserted-Identity", "<sip:+86138@a.example>")])
    assert lab.phone.calls[0].invite.request.get("P-Asserted-Identity") is None
    assert lab.asked[0].asserted is None
    ask.cancel()


@pytest.mark.parametrize(
    ("message", "bus", "waits", "expected"),
    [
        (200, "acknowledged", False, ("200", "acknowledged")),
        (405, "acknowledged", False, ("405", "acknowledged")),
        (None, "acknowledged", True, ("timeout", "acknowledged")),
        (200, "", True, ("200", "timeout")),
        (None, "", True, ("timeout", "timeout")),
        (200, "off", False, ("200", "off")),
        (None, "off", True, ("timeout", "off")),
    ],
)
def test_the_invite_leaves_after_both_or_at_the_deadline(
    lab: Lab, message: int | None, bus: str, waits: bool, expected: tuple[str, str]
) -> None:
    lab.phone.message_status, lab.bus = message, bus
    ask = lab.carrier.invite(NUMBER)
    assert ("E→S INVITE" in lab.ladder()) is not waits
    if waits:
        lab.advance(0.299 - LATE_S)
        assert "E→S INVITE" not in lab.ladder()
        lab.advance(0.002)
        assert "E→S INVITE" in lab.ladder()
    assert results(lab) == [expected]
    ask.cancel()


@pytest.mark.parametrize("begun", [0.0, 0.001, 0.6 * LATE_S, LATE_S - 0.001])
def test_no_call_waits_longer_though_timers_are_looked_at_now_and_then(lab: Lab, begun: float) -> None:
    """`begun`: so long before the call the engine has looked."""
    lab.phone.message_status, lab.bus = None, ""
    ask = lab.carrier.invite(NUMBER)
    due = lab.now + lab.settings.popup_deadline_s
    looks = lab.now - begun
    while not lab.phone.calls:
        looks += LATE_S
        assert looks <= due
        lab.now = looks
        lab.carry_out(lab.core.timer(lab.now))
    assert results(lab) == [("timeout", "timeout")]
    ask.cancel()


def test_a_deadline_that_is_nearer_than_a_look_is_due_at_once() -> None:
    lab = Lab(popup_deadline_s=LATE_S / 2)
    lab.verdict(action=Action.LABEL, label=LABEL, popup=POPUP)
    lab.phone.message_status, lab.bus = None, ""
    ask = lab.carrier.invite(NUMBER)
    assert lab.core.next_timer() == lab.now
    lab.advance(0.0)
    assert len(lab.phone.calls) == 1
    ask.cancel()


def test_an_answer_after_the_deadline_changes_nothing(lab: Lab) -> None:
    lab.phone.message_status, lab.bus = None, ""
    ask = lab.carrier.invite(NUMBER)
    lab.advance(1)
    lab.phone.messages[0].reply(200)
    lab.command(PopupPublished(lab.popups[0].popup_id, "acknowledged"))
    assert len(lab.phone.calls) == 1
    assert results(lab) == [("timeout", "timeout")]
    ask.cancel()


def test_a_phone_that_cannot_be_reached_does_not_hold_the_call_up(lab: Lab) -> None:
    lab.unreachable.add(("127.0.30.1", 5060))
    ask = lab.carrier.invite(NUMBER)
    assert results(lab) == [("transport", "acknowledged")]
    assert ask.status == 500
    assert lab.ended == "upstream/unreachable 500"


def test_without_sip_messages_the_bus_alone_is_waited_for() -> None:
    lab = Lab(popup_by_sip=False)
    lab.verdict(action=Action.LABEL, label=LABEL, popup=POPUP)
    ask = lab.carrier.invite(NUMBER)
    assert lab.phone.messages == []
    assert results(lab) == [("off", "acknowledged")]
    ask.cancel()
    lab.settle()


def test_cancelled_while_the_popup_is_under_way(lab: Lab) -> None:
    lab.phone.message_status, lab.bus = None, ""
    ask = lab.carrier.invite(NUMBER)
    ask.cancel()
    assert lab.ended == "caller/cancelled 487"
    lab.advance(1)
    assert lab.phone.calls == []
    assert results(lab) == [("timeout", "timeout")]


def test_media_and_popup_are_both_waited_for(lab: Lab) -> None:
    decide = lab.decide
    lab.decide = lambda request: structs.replace(decide(request), record=True)
    lab.media.opens, lab.bus = False, ""
    ask = lab.carrier.invite(NUMBER)
    lab.media.open()
    lab.pump()
    assert lab.phone.calls == []
    lab.command(PopupPublished(lab.popups[0].popup_id, "acknowledged"))
    assert len(lab.phone.calls) == 1
    ask.cancel()


def test_trusted_trunks_tell_who_calls() -> None:
    trunks: dict[str, Any] = {name: replace_trunk(trunk) for name, trunk in TRUNKS.items()}
    lab = Lab(trunks=trunks)
    headers = [
        ("P-Asserted-Identity", "<sip:+8613811111111@a.example>"),
        ("Diversion", "<sip:+8613822222222@x>;reason=unconditional, <tel:+8613833333333>, <broken>"),
    ]
    ask = lab.carrier.invite(NUMBER, headers=headers)
    assert lab.asked[0].asserted == "+8613811111111"
    assert lab.asked[0].diversion == ("+8613822222222", "+8613833333333")
    ask.cancel()
    lab.settle()


def test_of_thousands_of_diversions_few_are_read(lab: Lab) -> None:
    text = ", ".join(f"<tel:{number}>" for number in range(1_500))
    ask = lab.carrier.invite(NUMBER, headers=[("Diversion", text)])
    assert len(lab.asked[0].diversion) == 64
    ask.cancel()
    lab.settle()


def test_an_identity_that_is_nobody_s_goes_no_further() -> None:
    """What the edge says of a stranger is for us; those who help still see From."""
    lab = Lab(trunks={name: replace_trunk(trunk) for name, trunk in TRUNKS.items()})
    lab.verdict(pass_identity=True, protected=True)
    nobody = ("P-Asserted-Identity", "<sip:anonymous@anonymous.invalid>")
    ask = lab.carrier.invite(NUMBER, headers=[nobody])
    assert lab.phone.calls[0].invite.request.rows("P-Asserted-Identity") == []
    ask.cancel()
    lab.settle()


def replace_trunk(trunk: Any) -> Any:
    return structs.replace(trunk, trusted_identity=True)


def test_with_nobody_to_tell_the_invite_leaves_at_once() -> None:
    lab = Lab(popup_by_sip=False, popup_by_bus=False)
    lab.verdict(action=Action.LABEL, label="Suspected fraud", popup=POPUP)
    ask = lab.carrier.invite(NUMBER)
    assert [told.request.method for told in lab.phone.calls[0].told] == ["INVITE"]
    assert lab.of(PopupSent) == []
    ask.cancel()
    lab.settle()
