"""A call as the worker tells of it: messages and events at given times."""

from __future__ import annotations

from engine.call.values import LegOpened
from engine.model.events import CallEnded, CallScreened, CallStarted, Party
from engine.model.ids import CallId, NumberId
from engine.model.outcome import Blame, Outcome
from engine.sip.flow import Flow
from engine.traces.collector import Collector

ENGINE = ("127.0.20.1", 5060)
CARRIER = Flow("udp", ENGINE, ("127.0.10.1", 5060))
PHONE = Flow("udp", ENGINE, ("127.0.30.1", 5060))


def request(method: str, sip_call_id: str, cseq: int = 1, body: bytes = b"") -> bytes:
    kind = "Content-Type: application/sdp\r\n" if body else ""
    head = f"{method} sip:2@h SIP/2.0\r\nCall-ID: {sip_call_id}\r\nCSeq: {cseq} {method}\r\n{kind}\r\n"
    return head.encode() + body


def response(status: int, reason: str, method: str, sip_call_id: str) -> bytes:
    return f"SIP/2.0 {status} {reason}\r\nCall-ID: {sip_call_id}\r\nCSeq: 1 {method}\r\n\r\n".encode()


def started(call_id: str, sip_call_id: str, direction: str = "inbound") -> CallStarted:
    party = Party("+8613800138000", NumberId("n"))
    return CallStarted(
        call_id=CallId(call_id),
        direction=direction,
        trunk="carrier",
        calling=party,
        called=party,
        sip_call_id=sip_call_id,
    )


def screened(call_id: str) -> CallScreened:
    return CallScreened(call_id=CallId(call_id), action="allow", rule="no_rule", reason="clean")


def ended(call_id: str) -> CallEnded:
    outcome = Outcome(Blame.CALLER, "hung_up")
    return CallEnded(call_id=CallId(call_id), outcome=outcome, status=200, answered=True)


def opened(call_id: str, sip_call_id: str, role: str = "callee") -> LegOpened:
    return LegOpened(CallId(call_id), role, sip_call_id)


def short_call(collector: Collector, call_id: str = "c1") -> None:
    """An INVITE that goes on, comes again, is answered; ended by the caller. From 1.0 s to 3.0 s."""
    ours, theirs = f"{call_id}-in", f"{call_id}-out"
    invite = request("INVITE", ours, body=b"v=0\r\n")
    collector.received(invite, CARRIER, 1.0)
    collector.happened(started(call_id, ours), 1.001)
    collector.happened(screened(call_id), 1.002)
    collector.sent(response(100, "Trying", "INVITE", ours), CARRIER, 1.003)
    collector.leg(opened(call_id, theirs))
    collector.sent(request("INVITE", theirs, body=b"v=0\r\n"), PHONE, 1.004)
    collector.received(invite, CARRIER, 1.5)
    collector.received(response(200, "OK", "INVITE", theirs), PHONE, 2.0)
    collector.received(request("BYE", ours, 2), CARRIER, 2.9)
    collector.happened(ended(call_id), 2.901)
    collector.sent(response(200, "OK", "BYE", ours), CARRIER, 3.0)
