"""A clean call: passed on with direct media, under our own identifiers."""

from __future__ import annotations

from engine.sip.message import Request
from tests.call.kit import ACCESS, CARRIER, NUMBER, Lab
from tests.call.peer import sdp


def origin(body: bytes) -> list[str]:
    """Id, version and address of the o= line."""
    (line,) = [line for line in body.decode().split("\r\n") if line.startswith("o=")]
    words = line.split()
    return [words[1], words[2], words[5]]


def without_origin(body: bytes) -> bytes:
    return b"\r\n".join(line for line in body.split(b"\r\n") if not line.startswith(b"o="))


def test_the_whole_ladder(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER)
    assert lab.ladder() == ["C→E INVITE", "E→C 100", "E→S INVITE"]
    called = lab.phone.calls[0]
    called.invite.reply(180)
    assert lab.ladder() == ["S→E 180", "E→C 180"]
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    assert lab.ladder() == ["S→E 200", "E→S ACK", "E→C 200"]
    ask.ack()
    assert lab.stages == ["routed", "ringing", "connected"]
    lab.advance(7)
    ask.side.bye()
    assert lab.ladder() == ["C→E ACK", "C→E BYE", "E→C 200 (BYE)", "E→S BYE", "S→E 200 (BYE)"]
    assert lab.ended == "caller/hung_up 200"
    assert lab.media.commands == []


def test_descriptions_pass_with_our_origin_and_nothing_else_changed(lab: Lab) -> None:
    offer = sdp(CARRIER[0]) + b"a=x-unknown: kept  \r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
    ask = lab.carrier.invite(NUMBER, offer)
    called = lab.phone.calls[0]
    passed = called.invite.request.body
    assert without_origin(passed) == without_origin(offer)
    assert origin(passed)[1:] == ["1", "127.0.20.1"]
    answer = sdp(ACCESS[0], 50000)
    called.invite.reply(183, answer)
    called.invite.reply(200, answer)
    bodies = [response.body for response in ask.responses if response.body]
    assert [without_origin(body) for body in bodies] == [without_origin(answer)] * 2
    assert [origin(body)[1] for body in bodies] == ["1", "1"]
    assert origin(bodies[0])[0] != origin(passed)[0]
    ask.ack()
    ask.side.bye()


def names(request: Request) -> list[str]:
    return [name for name, _ in request.headers]


def test_no_header_beyond_what_a_b2bua_must_set(lab: Lab) -> None:
    headers = [
        ("Supported", "timer, 100rel, replaces"),
        ("Session-Expires", "1800"),
        ("Allow", "INVITE, UPDATE, REFER"),
        ("Feature-Caps", "*;+sip.607;+sip.608"),
        ("Record-Route", "<sip:10.0.0.1;lr>"),
        ("User-Agent", "Carrier/1"),
        ("Diversion", "<sip:+8613700000003@x>"),
        ("Call-Info", "<http://x>;purpose=icon"),
        ("P-Asserted-Identity", "<sip:+8613800000001@x>"),
        ("P-Charging-Vector", "icid-value=1"),
        ("X-Anything", "1"),
        ("Privacy", "id"),
    ]
    ask = lab.carrier.invite(NUMBER, headers=headers, display='"Zhang"', forwards=12)
    request = lab.phone.calls[0].invite.request
    assert sorted(names(request)) == sorted(
        [
            "Via",
            "Max-Forwards",
            "From",
            "To",
            "Call-ID",
            "CSeq",
            "Contact",
            "Allow",
            "Supported",
            "Session-Expires",
            "Feature-Caps",
            "Privacy",
            "Content-Type",
            "Content-Length",
        ]
    )
    assert request.get("Feature-Caps") == "*;+sip.608"  # ours, since it is true of the caller
    assert request.max_forwards == 11
    assert request.from_.display == "Zhang"
    assert str(request.from_.uri) == "sip:+8613800000001@127.0.20.1"
    assert str(request.uri) == f"sip:{NUMBER}@127.0.30.1:5060"
    assert request.call_id != ask.side.call_id
    assert request.from_.tag != ask.side.tag
    ask.cancel()
