"""Whatever a peer sends, the edge goes on and keeps nothing of it."""

from __future__ import annotations

from random import Random

import pytest

from engine.edge.settings import EdgeEffect
from engine.sip.effects import Send
from engine.sip.flow import Flow
from tests.edge.kit import EDGE, ENGINE, Lab, Phone, below
from tests.sip.kit import make_request

STRANGER = ("198.51.100.9", 5060)
HEADERS = [
    "Via: SIP/2.0/TCP x;branch=1",
    "Route: <sip:192.0.2.1;lr>, <sip:AAAA@192.0.2.1;lr>",
    "Route: <",
    "Record-Route: <sip:x>",
    'Path: "',
    'Proxy-Require: "x, y',
    'Require: outbound, "',
    "Supported: outbound",
    "Contact: *",
    'Contact: <sip:x@y>;reg-id=1;+sip.instance="<u>";expires=-1',
    "Expires: 99999999999999999999",
    "Max-Forwards: 0",
    'Authorization: Digest username="bob", realm="test", nonce="", uri="x", response=""',
    'Proxy-Authorization: Digest username="bob", realm="test", nonce="0", uri=":", response="é"',
    'Privacy: id;"',
    "P-Asserted-Identity: <sip:110@x>",
]
KINDS = ("contexts", "client", "server", "cancel", "timer")


@pytest.fixture
def lab() -> Lab:
    return Lab()


def honest(lab: Lab, bob: Phone) -> list[bytes]:
    """Messages of every kind that the edge takes, with right credentials and tokens among them."""
    register = bob.make("REGISTER", "bob")
    register = bob.with_credentials(register, bob.ask(register))
    invite = bob.make("INVITE", "1", call_id="i")
    invite = bob.with_credentials(invite, bob.ask(invite))
    bob.send(register)
    lab.engine.request(make_request("INVITE", lab.engine, EDGE), EDGE)
    came = [effect for effect in bob.heard if hasattr(effect, "request")][-1].request
    token = came.rows("Record-Route")[0]
    inside = bob.make("BYE", "bob", headers=[("Route", token)], call_id="d")
    rows = [(name, value + ";tag=x" if name == "To" else value) for name, value in inside.headers]
    bye = type(inside)("BYE", inside.uri, rows)
    ack = type(inside)("ACK", inside.uri, [(name, value.replace("BYE", "ACK")) for name, value in rows])
    options = bob.make("OPTIONS", "1")
    via = "SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bK-own;rport"
    made = [below(each, via) for each in (register, invite, bye, ack, options)]
    return [*made, b"SIP/2.0 200 OK" + made[1][made[1].index(b"\r\n") :]]


def test_damaged_messages(lab: Lab) -> None:
    bob = lab.phone("bob", "192.0.2.20")
    originals = honest(lab, bob)
    chance = Random(1)
    for number in range(3_000):
        data = bytearray(chance.choice(originals).replace(b"z9hG4bK-own", b"z9hG4bK-%d" % number))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.5:
            place = data.index(b"\r\n") + 2 if b"\r\n" in data else 0
            data[place:place] = chance.choice(HEADERS).encode() + b"\r\n"
        source = chance.choice([STRANGER, bob.address, ENGINE])
        flow = Flow(chance.choice(["udp", "tcp", "ws"]), EDGE, source)
        sent(lab.core.receive(bytes(data), flow, lab.now))
        lab.now += 0.01
    for _ in range(40):
        lab.now += 10
        sent(lab.core.timer(lab.now))
    held = lab.core.counts()
    assert [held[kind] for kind in KINDS] == [0] * len(KINDS)
    assert held["bindings"] <= lab.settings.most_bindings
    assert lab.phone("alice", "192.0.2.30").register().status == 200


def sent(effects: list[EdgeEffect]) -> None:
    """Nothing goes anywhere but to peers that were heard of."""
    known = {STRANGER[0], ENGINE[0], "192.0.2.20"}
    assert {effect.flow.remote[0] for effect in effects if isinstance(effect, Send)} <= known
