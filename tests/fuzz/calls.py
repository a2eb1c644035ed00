"""Damaged ladders: whole calls through the engine's core and through the edge, message by message."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache

from msgspec import structs

from engine.sip.effects import Send
from engine.sip.flow import Flow
from tests.call.kit import ACCESS, AGENT, CARRIER, ENGINE, LONG, NUMBER, TRUNKS, Lab
from tests.call.peer import sdp
from tests.call.test_transfer import TARGET, refer, routed
from tests.edge.kit import EDGE
from tests.edge.kit import ENGINE as EDGES_ENGINE
from tests.edge.kit import Lab as EdgeLab
from tests.edge.test_garbage import HEADERS, STRANGER, honest
from tests.fuzz.kit import CUT, Target, numbers, safe_message
from tests.fuzz.sip import TOKENS

SOURCES = (CARRIER, ACCESS, AGENT, ("198.51.100.9", 5060))
TRANSFERRING = {name: structs.replace(trunk, refer=True) for name, trunk in TRUNKS.items()}
MOST = 40
"""Messages of one ladder."""


class Deaf(Lab):
    """The peers hear nothing: what they say is in the input. What the engine sends is looked at."""

    def post(self, source: tuple[str, int], target: tuple[str, int], data: bytes) -> None:
        assert source == ENGINE
        safe_message(data)


def packed(pieces: Sequence[tuple[int, int, bytes]]) -> bytes:
    """Pieces of (source, seconds before it, message) as one input."""
    return CUT.join(struct.pack("BB", source, seconds) + data for source, seconds, data in pieces)


def call(data: bytes) -> None:
    """Whatever the peers say: no exception, no call or timer beyond the peers by more than it may be."""
    lab = Deaf(trunks=TRANSFERRING)
    lab.decide = routed
    pieces = data.split(CUT)[:MOST]
    for piece in pieces:
        (source, seconds), message = numbers(piece, "BB")
        if seconds:
            lab.advance(float(seconds))
        flow = Flow("tcp" if source & 8 else "udp", ENGINE, SOURCES[source % len(SOURCES)])
        lab.carry_out(lab.core.receive(message, flow, lab.now))
        assert len(lab.core.calls) <= len(pieces)
    lab.drain()
    lab.advance(2 * LONG + 400)
    assert not lab.core.calls
    held = lab.core.counts()
    assert not any(held.values()), held


def edge(data: bytes) -> None:
    """The same at the edge, where phones register and are strangers until they have."""
    lab = EdgeLab()
    for piece in data.split(CUT)[:MOST]:
        (source, seconds), message = numbers(piece, "BB")
        lab.now += seconds
        remote = (STRANGER, EDGES_ENGINE, ("192.0.2.20", 5060))[source % 3]
        flow = Flow(("udp", "tcp", "ws")[source // 3 % 3], EDGE, remote)
        for effect in [*lab.core.receive(message, flow, lab.now), *lab.core.timer(lab.now)]:
            if isinstance(effect, Send):
                safe_message(effect.data)
    for _ in range(40):
        lab.now += 10
        lab.core.timer(lab.now)
    held = lab.core.counts()
    assert not any(held[kind] for kind in ("contexts", "client", "server", "cancel", "timer")), held
    assert held["bindings"] <= lab.settings.most_bindings


@cache
def _ladders() -> tuple[bytes, ...]:
    """What the engine heard in a few honest calls. Its ids come from a seed: they fit again."""
    found = []
    for ends in ("caller", "callee", "cancel", "busy", "glare", "refer"):
        lab = Lab(trunks=TRANSFERRING)
        lab.decide = routed
        ask = lab.carrier.invite(NUMBER)
        called = lab.phone.calls[0]
        called.invite.reply(180)
        if ends == "cancel":
            ask.cancel()
        elif ends == "busy":
            called.invite.reply(486)
        else:
            called.invite.reply(200, sdp(ACCESS[0], 50000))
            ask.ack()
            if ends == "glare":
                ask.side.ask("INVITE", body=sdp(CARRIER[0], version=2))
                called.ask("UPDATE", body=sdp(ACCESS[0], version=2))
            elif ends == "refer":
                refer(
                    called,
                    f"<sip:{TARGET}@h?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>",
                    ("Referred-By", "<sip:a@b>"),
                )
                lab.carrier.calls[-1].invite.reply(200, sdp(CARRIER[0], 60000))
            (called if ends == "callee" else ask.side).bye()
        order = {source: place for place, source in enumerate(SOURCES)}
        found.append(packed([(order[source], 0, data) for source, data in lab.sent_to_engine]))
    return tuple(found)


def _edge_ladder() -> bytes:
    lab = EdgeLab()
    pieces = honest(lab, lab.phone("bob", "192.0.2.20"))
    return packed([(2, 0, piece) for piece in pieces])


TARGETS = (
    Target("call", call, _ladders(), (*TOKENS, CUT, CUT + b"\x01\x20", b"INVITE", b"UPDATE", b"BYE", b"200")),
    Target("edge", edge, (_edge_ladder(),), (*TOKENS, CUT, *(line.encode() + b"\r\n" for line in HEADERS))),
)
