"""A pyVoIP telephone as the subscriber's: a stack that shares no line with ours, in its own process."""

from pathlib import Path

import pytest

from lab.peers import packages, scenarios
from lab.peers.pyvoip_phone import PyVoipPhone, Telephone
from lab.peers.ringward import Ringward
from lab.peers.rtp_tone import rtp_party
from lab.peers.sipp import Line, Load, place_calls
from lab.peers.tone import PCMU, seconds_of_tone
from tests.lab.kit import SUBSCRIBER, YELLOW_LABEL

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not packages.have("sipp"), reason=packages.reason("sipp")),
]

TELEPHONE_HZ, CALLER_HZ = 900, 700
CALLER_RTP_PORT = 9000


async def test_labelled_call_to_a_pyvoip_telephone(engine: Ringward, pyvoip: Path, tmp_path: Path) -> None:
    """It knows no MESSAGE and rings all the same, shows the label, and both sides hear each other."""
    site = engine.site
    telephone = Telephone(site.access, site.engine, SUBSCRIBER, tone_hz=TELEPHONE_HZ)
    phone = await PyVoipPhone.start(pyvoip, telephone, tmp_path / "phone")
    try:
        # pyVoIP speaks PCMU whatever it says: it must be the first on offer.
        line = Line(site.carrier, 5060, tmp_path / "carrier", audio_port=CALLER_RTP_PORT, codecs="0 8")
        async with rtp_party(site.carrier, CALLER_RTP_PORT, CALLER_HZ, PCMU) as party:
            call = (scenarios.HUNG_UP, line, engine.target, YELLOW_LABEL, SUBSCRIBER)
            result = await place_calls(*call, Load(deadline_s=30))
        assert (result.succeeded, result.failed) == (1, 0), engine.peer.error(f"caller: {result}")
        shown = await phone.event("incoming")
        assert str(shown["name"]).startswith("Suspected fraud")
        assert (await phone.event("ended"))["by_us"] is True
        assert seconds_of_tone(party.heard(), TELEPHONE_HZ) > 2
        assert seconds_of_tone(await phone.heard(), CALLER_HZ) > 2
    finally:
        await phone.stop()
    (ended,) = await engine.calls(1)
    assert ended.outcome == "callee/hung_up"
