"""Nothing that a caller asks for beside the call stops one to an emergency number."""

from __future__ import annotations

import pytest
from msgspec import structs

from engine.call.admission import MOST_SOURCES_WITHOUT_HOPS, MOST_WITHOUT_HOPS
from engine.model.events import CallEnded
from engine.sip.flow import Flow
from engine.sip.salvage import HELP_HOPS
from tests.call.kit import ACCESS, CARRIER, ENGINE, TRUNKS, Lab
from tests.call.peer import Ask, Peer, sdp

FLOW = Flow("udp", ENGINE, CARRIER)
BOUNDARY = "multipart/mixed;boundary=b1"
LOCATED = (
    b"--b1\r\nContent-Type: application/sdp\r\n\r\n" + sdp("127.0.10.1") + b"\r\n--b1\r\n"
    b"Content-Type: application/pidf+xml\r\n\r\n<presence/>\r\n--b1--\r\n"
)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (LOCATED, [("Content-Type", BOUNDARY)]),
        (sdp("127.0.10.1"), [("Require", "100rel")]),
        (b"v=0\r\nnonsense", []),
    ],
    ids=["description and location", "an extension required", "a broken description"],
)
def test_it_goes_on_as_it_came(lab: Lab, body: bytes, headers: list[tuple[str, str]]) -> None:
    lab.verdict(protected=True)
    ask = lab.carrier.invite("110", body, headers)
    called = lab.phone.calls[0]
    request = called.invite.request
    expected = dict(headers).get("Content-Type", "application/sdp")
    assert request.get("Content-Type") == expected
    if body is LOCATED or b"nonsense" in body:
        assert request.body == body
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    ask.ack()
    assert lab.stages[-1] == "connected"
    ask.side.bye()


def test_another_call_with_the_same_is_refused(lab: Lab) -> None:
    ask = lab.carrier.invite("13900000002", LOCATED, [("Content-Type", BOUNDARY)])
    assert ask.status == 415
    assert lab.phone.calls == []
    assert lab.events == []


MALFORMED = {
    "Contact": "<sip:",
    "Max-Forwards": "many",
    "Record-Route": "<sip:a;lr",
    "Session-Expires": "soon;x=",
    "Min-SE": "x",
    "Supported": '"x',
    "Require": '"x',
    "Privacy": '"',
    "P-Asserted-Identity": "<<>",
    "Diversion": "<sip:x",
    "History-Info": "<sip:x",
    "Allow": '"',
    "Feature-Caps": "<",
    "Content-Disposition": '"',
    "Bad Name": "x",
    "Subject": "a\x01b",
    "Expires": "never",
    "RSeq": "x",
    "Replaces": "a;to-tag=1;from-tag=2",
}


def malformed(lab: Lab, number: str, name: str) -> list[str]:
    """Who hears what when somebody at the carrier calls with such a header."""
    host, port = lab.carrier.address
    rows = {
        "Via": f"SIP/2.0/UDP {host}:{port};branch=z9hG4bKm",
        "From": f"<sip:+8613800000001@{host}>;tag=m",
        "To": f"<sip:{number}@x>",
        "Call-ID": "m",
        "CSeq": "1 INVITE",
        "Contact": f"<sip:{host}:{port}>",
        "Content-Type": "application/sdp",
        name: MALFORMED[name],
    }
    lines = [f"INVITE sip:{number}@x SIP/2.0", *(f"{each}: {value}" for each, value in rows.items()), "", ""]
    lab.ladder()
    lab.carry_out(lab.core.receive("\r\n".join(lines).encode() + sdp(host), FLOW, lab.now))
    return lab.ladder()


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_header_that_a_call_for_help_needs_not(lab: Lab, name: str) -> None:
    lab.verdict(protected=True)
    assert malformed(lab, "110", name)[:2] == ["E→C 100", "E→S INVITE"]
    called = lab.phone.calls[0]
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    assert lab.ladder() == ["S→E 200", "E→S ACK", "E→C 200"]
    called.bye()
    lab.settle()


@pytest.mark.parametrize("name", ["Contact", "Max-Forwards", "Record-Route", "Bad Name", "Subject"])
def test_another_call_with_it_is_malformed(lab: Lab, name: str) -> None:
    assert malformed(lab, "13900000002", name) == ["E→C 400"]


def test_another_call_with_a_dialog_to_replace_is_no_call(lab: Lab) -> None:
    assert malformed(lab, "13900000002", "Replaces") == ["E→C 603"]


def test_a_call_for_help_without_hops_gets_some() -> None:
    lab = Lab()
    lab.verdict(protected=True)
    ask = lab.carrier.invite("110", forwards=0)
    assert lab.phone.calls[0].invite.request.max_forwards == HELP_HOPS
    lab.phone.calls[0].invite.reply(200, sdp(ACCESS[0], 50000))
    ask.ack()
    ask.side.bye()
    lab.settle()


def test_a_loop_of_a_call_for_help_ends() -> None:
    """Each turn is a new call to us, by another Call-ID; nothing else tells that it is the same."""
    lab = Lab()
    lab.verdict(protected=True)
    turns, hops = 1, 0
    while (ask := lab.carrier.invite("110", forwards=hops)).status == 100:
        turns, hops = turns + 1, lab.phone.calls[-1].invite.request.max_forwards
    assert ask.status == 483
    assert turns == MOST_WITHOUT_HOPS * (HELP_HOPS + 1) + 1
    for called in reversed(lab.phone.calls):  # it goes back all the way
        called.invite.reply(483)
    lab.settle()
    again = lab.carrier.invite("110", forwards=0)
    assert again.status == 100
    again.cancel()


@pytest.fixture
def wide() -> Lab:
    """A lab whose carrier sends from a whole network."""
    lab = Lab(trunks={**TRUNKS, "carrier": structs.replace(TRUNKS["carrier"], match=("127.0.0.0/16",))})
    lab.verdict(protected=True)
    return lab


def without_hops(lab: Lab, host: str) -> Ask:
    peer = Peer(host, (host, 5060), ENGINE, lab.post)
    lab.join(peer)
    return peer.invite("110", forwards=0)


def test_what_others_send_without_hops_stops_no_call_for_help(wide: Lab) -> None:
    many = [without_hops(wide, "127.0.10.7")]
    many += [many[0].side.peer.invite("110", forwards=0) for _ in range(MOST_WITHOUT_HOPS)]
    assert [ask.status for ask in many] == [100] * MOST_WITHOUT_HOPS + [483]
    assert without_hops(wide, "127.0.10.8").status == 100


def test_a_loop_by_way_of_ever_new_addresses_ends(wide: Lab) -> None:
    each = [without_hops(wide, f"127.0.11.{n}") for n in range(MOST_SOURCES_WITHOUT_HOPS + 1)]
    assert [ask.status for ask in each] == [100] * MOST_SOURCES_WITHOUT_HOPS + [483]
    assert each[0].side.peer.invite("110", forwards=0).status == 100


def test_it_may_come_again_while_it_waits(lab: Lab) -> None:
    """Mended the same way: no second call, and no refusal."""
    lab.verdict(protected=True)
    malformed(lab, "110", "Contact")
    assert malformed(lab, "110", "Contact") == ["E→C 100"]
    lab.phone.calls[0].invite.reply(486)
    lab.advance(60)


def test_what_is_malformed_inside_a_dialog_is_refused(lab: Lab) -> None:
    ask = lab.carrier.invite("110")
    lab.phone.calls[0].invite.reply(200, sdp(ACCESS[0], 50000))
    ask.ack()
    assert (
        ask.side.ask("INVITE", sdp(CARRIER[0]), headers=[("Max-Forwards", "many")], forwards=None).status
        == 400
    )
    lab.end()
    lab.settle()


def test_a_call_for_help_with_an_unreadable_from_is_acknowledged_and_hung_up(lab: Lab) -> None:
    """All its requests have that From; none of them may be lost, or the call would be cut off after 64*T1."""
    lab.verdict(protected=True)
    host, port = lab.carrier.address
    sent: list[bytes] = []
    post = lab.post

    def noted(source: tuple[str, int], to: tuple[str, int], data: bytes) -> None:
        sent.append(data)
        post(source, to, data)

    lab.post = noted  # type: ignore[method-assign]

    def ask(method: str, number: int, to: str = "<sip:110@x>", body: bytes = b"") -> None:
        lines = (
            f"{method} sip:{'110@x' if method == 'INVITE' else 'engine'} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKm{method}",
            'From: "Ann <sip:ann@h>;tag=77',
            f"To: {to}",
            "Call-ID: m",
            f"CSeq: {number} {method}",
            f"Contact: <sip:{host}:{port}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        )
        lab.carry_out(lab.core.receive("\r\n".join((*lines, "", "")).encode() + body, FLOW, lab.now))

    ask("INVITE", 1, body=sdp(host))
    called = lab.phone.calls[0]
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    answer = next(data for data in sent if data.startswith(b"SIP/2.0 200") and b"CSeq: 1 INVITE" in data)
    to = next(row[4:] for row in answer.decode().split("\r\n") if row.startswith("To: "))
    ask("ACK", 1, to)
    lab.ladder()
    lab.advance(40)
    assert lab.of(CallEnded) == []
    lab.ladder()
    ask("BYE", 2, to)
    assert lab.ladder() == ["E→C 200 (BYE)", "E→S BYE", "S→E 200 (BYE)"]
    lab.settle()
    assert lab.ended == "caller/hung_up 200"
