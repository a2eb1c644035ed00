"""Traces for the console's tests: a warned call with both legs, as an engine would have kept it."""

from __future__ import annotations

from engine.call.values import LegOpened
from engine.model.events import Alarm, CallEnded, CallScreened, CallStage, CallStarted
from engine.model.ids import CallId
from engine.model.outcome import Blame, Outcome
from engine.sip.flow import Flow
from engine.traces.collector import Collector
from engine.traces.files import TraceWriter
from engine.traces.redaction import Keep
from tests.console.seed import ALICE, WARNED, World

ENGINE = ("127.0.20.1", 5060)
CARRIER, PHONE = Flow("udp", ENGINE, ("127.0.10.1", 5060)), Flow("udp", ENGINE, ("127.0.30.1", 5062))
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.10.1\r\ns=-\r\nc=IN IP4 127.0.10.1\r\nt=0 0\r\n"
    "m=audio 20000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)


def sip(
    start: str, known: str, cseq: str, *headers: str, body: str = "", kind: str = "application/sdp"
) -> bytes:
    lines = [
        start,
        f"Via: SIP/2.0/UDP 127.0.10.1:5060;branch=z9hG4bK-{known}-{cseq.split()[0]}",
        f"From: <sip:{WARNED}@carrier.example>;tag=a",
        f"To: <sip:{ALICE}@127.0.20.1>",
        f"Call-ID: {known}",
        f"CSeq: {cseq}",
        *headers,
        *([f"Content-Type: {kind}"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", body]).encode()


def keep_warned_call(world: World, keep: Keep = "full", call_id: str = "c-warn", more: int = 0) -> None:
    """Write the trace of a warned call; `more` INFOs come in it, at a time when there is room for few."""
    collector, known = Collector(), CallId(call_id)
    invite = sip(f"INVITE sip:{ALICE}@127.0.20.1 SIP/2.0", "in-1", "1 INVITE", body=SDP)
    collector.received(invite, CARRIER, 0.0)
    collector.happened(
        CallStarted(
            call_id=known,
            direction="inbound",
            trunk="carrier",
            calling=world.party(WARNED),
            called=world.party(ALICE),
            sip_call_id="in-1",
        ),
        0.0003,
    )
    screened = CallScreened(call_id=known, action="warn", rule="reported", reason="reported_by_subscribers")
    collector.happened(screened, 0.0005)
    collector.sent(sip("SIP/2.0 100 Trying", "in-1", "1 INVITE"), CARRIER, 0.0008)
    collector.leg(LegOpened(known, "popup", "popup-1"))
    text = {"body": "来电提醒：不要转账", "kind": "text/plain"}
    collector.sent(
        sip(f"MESSAGE sip:{ALICE}@127.0.30.1 SIP/2.0", "popup-1", "1 MESSAGE", **text), PHONE, 0.0012
    )
    collector.received(sip("SIP/2.0 200 OK", "popup-1", "1 MESSAGE"), PHONE, 0.0121)
    collector.leg(LegOpened(known, "callee", "out-1"))
    secret = 'Proxy-Authorization: Digest username="ringward", response="hunter2"'
    onward = sip(f"INVITE sip:{ALICE}@127.0.30.1 SIP/2.0", "out-1", "2 INVITE", secret, body=SDP)
    collector.happened(CallStage(call_id=known, stage="routed"), 0.0125)
    collector.sent(onward, PHONE, 0.013)
    collector.sent(onward, PHONE, 0.513)
    collector.received(sip("SIP/2.0 180 Ringing", "out-1", "2 INVITE"), PHONE, 0.64)
    collector.happened(CallStage(call_id=known, stage="ringing"), 0.6401)
    collector.sent(sip("SIP/2.0 180 Ringing", "in-1", "1 INVITE"), CARRIER, 0.641)
    collector.received(sip("SIP/2.0 200 OK", "out-1", "2 INVITE", body=SDP), PHONE, 3.2)
    collector.sent(sip(f"ACK sip:{ALICE}@127.0.30.1 SIP/2.0", "out-1", "2 ACK"), PHONE, 3.201)
    collector.happened(CallStage(call_id=known, stage="warning"), 3.202)
    collector.happened(CallStage(call_id=known, stage="accepted"), 9.8)
    collector.happened(CallStage(call_id=known, stage="connected"), 9.801)
    collector.sent(sip("SIP/2.0 200 OK", "in-1", "1 INVITE", body=SDP), CARRIER, 9.802)
    collector.received(sip(f"ACK sip:{ALICE}@127.0.20.1 SIP/2.0", "in-1", "1 ACK"), CARRIER, 9.81)
    for count in range(more):
        collector.received(sip(f"INFO sip:{count} SIP/2.0", "in-1", f"{count + 2} INFO"), CARRIER, 10.0)
    collector.happened(Alarm(slug="media_failed", detail="", call_id=known), 28.0)
    collector.received(sip(f"BYE sip:{ALICE}@127.0.20.1 SIP/2.0", "in-1", "900 BYE"), CARRIER, 28.1)
    collector.sent(sip("SIP/2.0 200 OK", "in-1", "900 BYE"), CARRIER, 28.1004)
    outcome = Outcome(Blame.CALLER, "hung_up")
    collector.happened(CallEnded(call_id=known, outcome=outcome, status=200, answered=True), 28.1005)
    collector.sent(sip(f"BYE sip:{ALICE}@127.0.30.1 SIP/2.0", "out-1", "3 BYE"), PHONE, 28.101)
    collector.received(sip("SIP/2.0 200 OK", "out-1", "3 BYE"), PHONE, 28.12)
    config = world.services.config
    writer = TraceWriter(
        config.traces_folder, "node-1-w1", lambda: keep, total_bytes=10_000_000, keep_s=86_400.0
    )
    writer.put(collector.take(29.0))
    writer.close()
    assert writer.lost == 0
