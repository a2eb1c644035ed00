"""Rejects: answered before any dialog exists, or after an announcement in early media."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.call.values import Redress
from engine.model.events import CallEnded, CallScreened, CallStage, PopupSent
from engine.model.media import CloseSession, OpenSession, Play
from engine.model.screening import Action
from tests.call.kit import NUMBER, POPUP, TRUNKS, Lab
from tests.call.media import MEDIA_HOST
from tests.call.peer import sdp

REDRESS = "https://example.org/appeal?code=ABCD-EFGH"
CARD = "https://example.org/jcard/ABCD-EFGH"


def rejects(lab: Lab, **fields: object) -> None:
    lab.verdict(action=Action.REJECT, redress=REDRESS, card=CARD, **fields)


def announces(lab: Lab, **fields: object) -> None:
    rejects(lab, announcement="rejected_608", **fields)


def test_before_any_dialog(lab: Lab) -> None:
    rejects(lab, popup=POPUP)
    ask = lab.carrier.invite(NUMBER)
    assert lab.ladder() == ["C→E INVITE", "E→C 608", "E→S MESSAGE", "C→E ACK", "S→E 200 (MESSAGE)"]
    assert ask.last.get("Call-Info") == f"<{CARD}>;purpose=jwscard"
    assert ask.last.get("Contact") is None
    assert lab.core.calls == {}
    assert lab.ended == "policy/rejected 608"
    assert [type(event) for event in lab.events[-3:]] == [CallScreened, CallEnded, PopupSent]


def test_neither_reason_nor_model_is_told(lab: Lab) -> None:
    rejects(lab, rule="named-by-table", reason="police_list", level="red")
    head = lab.carrier.invite(NUMBER).last.to_bytes().decode()
    assert not any(word in head for word in ("named-by-table", "police_list", "red\r", "Reason"))


def test_the_callees_own_refusal_is_607_and_is_not_announced(lab: Lab) -> None:
    announces(lab, status=607)
    ask = lab.carrier.invite(NUMBER)
    assert ask.statuses == [607]
    assert ask.last.get("Call-Info") is None


def test_a_reject_needs_no_route(lab: Lab) -> None:
    announces(lab, hops=())
    ask = lab.carrier.invite(NUMBER)
    lab.media.finish()
    assert ask.statuses == [100, 183, 608]


def test_announced_first_for_callers_without_608(lab: Lab) -> None:
    announces(lab, language="en")
    ask = lab.carrier.invite(NUMBER)
    assert lab.ladder() == ["C→E INVITE", "E→C 100", "E→C 183"]
    assert f"c=IN IP4 {MEDIA_HOST}" in ask.last.body.decode()
    assert "a=sendrecv" in ask.last.body.decode()
    assert lab.media.playing() == ["caller rejected_608"]
    assert lab.media.last(Play).language == "en"
    lab.media.finish()
    assert lab.ladder() == ["E→C 608", "C→E ACK"]
    assert ask.last.get("Call-Info") == f"<{CARD}>;purpose=jwscard"
    assert lab.ended == "policy/rejected 608"
    assert lab.phone.calls == []
    assert lab.media.count(CloseSession) == 1


def test_a_caller_that_knows_608_hears_nothing(lab: Lab) -> None:
    announces(lab)
    assert lab.carrier.invite(NUMBER, headers=[("Feature-Caps", "*;+sip.608")]).statuses == [608]
    assert lab.media.commands == []


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("*;+sip.608", True),
        ("*;+sip.607;+SIP.608", True),
        ('*;+a="x", *; +sip.608', True),
        ("*;+sip.6080", False),
        ("*;+x.sip.608", False),
        ("*;+g=sip.608", False),
        ("sip.608", False),
    ],
)
def test_who_knows_608_says_so_by_its_indicator(lab: Lab, value: str, known: bool) -> None:
    """RFC 6809 §6.2; to whom a call goes on the caller's word is repeated, and nothing else of it."""
    announces(lab)
    ask = lab.carrier.invite(NUMBER, headers=[("Feature-Caps", value)])
    assert ask.statuses == ([608] if known else [100, 183])
    lab.media.finish()
    lab.verdict()
    ask = lab.carrier.invite(NUMBER, headers=[("Feature-Caps", value)])
    told = lab.phone.calls[-1].invite
    assert told.request.rows("Feature-Caps") == (["*;+sip.608"] if known else [])
    told.reply(608, headers=[("Call-Info", f"<{CARD}>;purpose=jwscard")])
    assert ask.last.get("Call-Info") == f"<{CARD}>;purpose=jwscard"


def test_without_an_offer_there_is_no_early_media(lab: Lab) -> None:
    announces(lab)
    assert lab.carrier.invite(NUMBER, b"").statuses == [608]


def test_a_popup_of_a_reject_holds_nothing_up(lab: Lab) -> None:
    announces(lab, popup=POPUP)
    lab.phone.message_status, lab.bus = None, ""
    ask = lab.carrier.invite(NUMBER)
    assert ask.statuses == [100, 183]
    lab.media.finish()
    assert ask.status == 608
    lab.advance(1)
    assert [(sent.sip_result, sent.bus_result) for sent in lab.of(PopupSent)] == [("timeout", "timeout")]


def test_cancelled_during_the_announcement(lab: Lab) -> None:
    announces(lab)
    ask = lab.carrier.invite(NUMBER)
    lab.ladder()
    ask.cancel()
    assert lab.ladder() == ["C→E CANCEL", "E→C 200 (CANCEL)", "E→C 487", "C→E ACK"]
    assert lab.ended == "policy/rejected 487"
    lab.media.finish()
    assert ask.status == 487


def test_cancelled_before_the_media_worker_is_ready(lab: Lab) -> None:
    announces(lab)
    lab.media.opens = False
    ask = lab.carrier.invite(NUMBER)
    ask.cancel()
    assert lab.ended == "caller/cancelled 487"
    lab.media.open()
    lab.pump()


@pytest.mark.parametrize("when", ["no port", "worker lost", "silent", "no prompt", "lost while playing"])
def test_without_sound_608_comes_without_announcement(lab: Lab, when: str) -> None:
    announces(lab)
    lab.media.opens = when not in ("no port", "worker lost", "silent")
    ask = lab.carrier.invite(NUMBER)
    match when:
        case "no port":
            lab.media.fail(lab.media.last(OpenSession), "no_ports")
            lab.pump()
        case "worker lost":
            lab.media.lose()
            lab.lost(lab.media.last(OpenSession).session)
        case "silent":
            lab.advance(5)
        case "no prompt":
            lab.media.miss()
        case _:
            lab.media.lose()
    assert ask.status == 608
    assert lab.ended == "policy/rejected 608"


def test_an_unusable_description_does_not_soften_a_reject(lab: Lab) -> None:
    announces(lab)
    ask = lab.carrier.invite(NUMBER, sdp("127.0.10.1", formats="18"))
    assert ask.statuses == [100, 608]
    assert lab.ended == "policy/rejected 608"


def test_stopped_during_the_announcement(lab: Lab) -> None:
    announces(lab)
    ask = lab.carrier.invite(NUMBER)
    lab.end()
    assert ask.status == 503
    assert lab.ended == "engine/shutdown 503"


def test_stages_of_an_announced_reject(lab: Lab) -> None:
    announces(lab)
    lab.carrier.invite(NUMBER)
    lab.media.finish()
    assert [event.stage for event in lab.of(CallStage)] == ["announcing"]


# --- 603+ (ATIS-1000099) ---


def carriers(reject: str) -> dict[str, Any]:
    return TRUNKS | {"carrier": msgspec.structs.replace(TRUNKS["carrier"], reject=reject)}


def test_a_trunk_that_wants_603_plus_hears_neither_card_nor_announcement() -> None:
    lab = Lab(trunks=carriers("603+"), redress=Redress(tel="+861096110", email="appeal@example.org"))
    announces(lab, rule="named-by-table", reason="police_list", level="red")
    ask = lab.carrier.invite(NUMBER)
    assert ask.statuses == [603]
    assert ask.last.reason == "Network Blocked"
    text = f"v=analytics1;url={REDRESS};tel=+861096110;email=appeal@example.org"
    assert ask.last.rows("Reason") == [f'SIP;cause=603;text="{text}";location=RLN']
    assert ask.last.get("Call-Info") is None
    assert lab.ended == "policy/rejected 603"
    assert not any(word in str(ask.last.headers) for word in ("named-by-table", "police_list", "level"))
    lab.settle()


def test_the_callees_own_refusal_stays_607_there() -> None:
    lab = Lab(trunks=carriers("603+"))
    rejects(lab, status=607)
    assert lab.carrier.invite(NUMBER).statuses == [607]
    lab.settle()


def test_without_redress_nobody_is_named() -> None:
    for style, said in (("608", None), ("603+", 'SIP;cause=603;text="v=analytics1";location=RLN')):
        lab = Lab(trunks=carriers(style))
        lab.verdict(action=Action.REJECT)
        ask = lab.carrier.invite(NUMBER)
        assert (ask.last.get("Call-Info"), ask.last.get("Reason")) == (None, said)
        lab.settle()
