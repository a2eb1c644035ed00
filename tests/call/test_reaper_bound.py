"""By default a call has its outcome 64*T1 and the media timeout after a peer has vanished, at the latest.

Where the transport says that it cannot be sent to, which ends no dialog once, it is 64*T1 and two audits.
"""

from __future__ import annotations

import pytest

from engine.model.config import MediaSection, SipSection
from engine.model.events import CallEnded
from tests.call.kit import SETTINGS, Lab
from tests.call.peer import sdp
from tests.call.test_reaper import ACCESS, CARRIER, GIVE_UP_S, RTP_TIMEOUT_S, SESSION_S, lab, silence, vanish

NAMES = [("C",), ("S",), ("C", "S")]
BOUND_S = RTP_TIMEOUT_S + GIVE_UP_S

either = pytest.mark.parametrize("names", NAMES, ids=["caller", "callee", "both"])


@pytest.mark.parametrize("session_s", [0, SESSION_S], ids=["no timers", "session timers"])
@either
def test_whoever_vanishes_from_a_call_of_our_media(names: tuple[str, ...], session_s: int) -> None:
    at = lab(session_s=session_s)
    at.verdict(record=True)
    at.connect()
    at.media.finish()
    vanish(at, *names)
    at.advance(RTP_TIMEOUT_S)
    assert at.of(CallEnded) == []
    silence(at)
    assert at.ended == "upstream/rtp_timeout 200"
    at.advance(GIVE_UP_S)
    assert at.core.calls == {}
    at.lose = lambda line: False
    at.settle()


@pytest.mark.parametrize("up_s", [0.0, 0.1, 44.9, 45.1, 100.0, 899.0, 1790.0])
@pytest.mark.parametrize("session_s", [0, 90, 108, 120, SESSION_S, 1800])
@either
def test_whoever_vanishes_from_a_call_of_direct_media(
    names: tuple[str, ...], session_s: int, up_s: float
) -> None:
    at = Lab(session_expires_s=session_s)
    at.carrier.takes_offers, at.phone.takes_offers = sdp(CARRIER[0]), sdp(ACCESS[0], 50_000)
    at.connect()
    at.advance(up_s)
    assert at.of(CallEnded) == []
    vanish(at, *names)
    at.advance(BOUND_S)
    assert at.ended == "upstream/timeout 200"
    at.advance(GIVE_UP_S)
    assert at.core.calls == {}
    at.lose = lambda line: False
    at.settle()


@pytest.mark.parametrize("up_s", [0.1, 44.9, 45.1])
@pytest.mark.parametrize("session_s", [0, 120, SESSION_S])
@pytest.mark.parametrize("then_silent", [False, True])
def test_who_cannot_be_sent_to(session_s: int, up_s: float, then_silent: bool) -> None:
    at = Lab(session_expires_s=session_s)
    at.carrier.takes_offers, at.phone.takes_offers = sdp(CARRIER[0]), sdp(ACCESS[0], 50_000)
    at.connect()
    at.advance(up_s)
    at.unreachable.add(CARRIER)
    at.advance(SETTINGS.audit_s)
    if then_silent:
        at.unreachable.clear()
        vanish(at, "C")
    at.advance(SETTINGS.audit_s + GIVE_UP_S)
    assert at.ended == "upstream/timeout 200"
    at.unreachable.clear()
    at.lose = lambda line: False
    at.advance(GIVE_UP_S)
    at.settle()


def test_the_bound_holds_by_default() -> None:
    assert 0 < SipSection().audit_s <= MediaSection().rtp_timeout_s == RTP_TIMEOUT_S
    assert (SETTINGS.audit_s, SETTINGS.rtp_timeout_s) == (SipSection().audit_s, MediaSection().rtp_timeout_s)
