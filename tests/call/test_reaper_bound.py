"""With media through us nothing of a call is left 64*T1 and the media timeout after its peers vanished."""

from __future__ import annotations

import pytest

from engine.model.events import CallEnded
from tests.call.test_reaper import GIVE_UP_S, RTP_TIMEOUT_S, SESSION_S, lab, silence, vanish

NAMES = [("C",), ("S",), ("C", "S")]


@pytest.mark.parametrize("session_s", [0, SESSION_S], ids=["no timers", "session timers"])
@pytest.mark.parametrize("names", NAMES, ids=["caller", "callee", "both"])
def test_whoever_vanishes(names: tuple[str, ...], session_s: int) -> None:
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
