"""3xx from the callee: followed within limits, screened like a call, told in History-Info."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.call.values import Decision, Hop, ScreeningRequest
from engine.model.address import Address
from engine.model.screening import Action
from engine.sdp import OwnAddresses
from tests.call.kit import ACCESS, CARRIER, NUMBER, TRUNKS, Lab, allow
from tests.call.peer import Peer, sdp

OTHER = "13900000003"
ELSEWHERE = ("127.0.30.7", 5070)


def elsewhere(lab: Lab) -> Peer:
    peer = Peer("X", ELSEWHERE, lab.engine, lab.post)
    lab.join(peer)
    return peer


def contacts(*uris: str) -> list[tuple[str, str]]:
    return [
        ("Contact", f"<{uri}>" if ";q=" not in uri else f"<{uri.split(';q=')[0]}>;q={uri.split(';q=')[1]}")
        for uri in uris
    ]


def redirect(lab: Lab, *uris: str, status: int = 302) -> None:
    lab.phone.calls[-1].invite.reply(status, headers=contacts(*uris))


@pytest.mark.parametrize("status", [300, 301, 302])
@pytest.mark.parametrize("rings", [False, True])
def test_the_same_number_at_another_address(lab: Lab, status: int, rings: bool) -> None:
    there = elsewhere(lab)
    ask = lab.carrier.invite(NUMBER)
    if rings:
        lab.phone.calls[0].invite.reply(180)
    redirect(lab, f"sip:{NUMBER}@{ELSEWHERE[0]}:{ELSEWHERE[1]}", status=status)
    called = there.calls[0]
    assert str(called.invite.request.uri) == f"sip:{NUMBER}@{ELSEWHERE[0]}:{ELSEWHERE[1]}"
    assert len(lab.asked) == 1  # nothing has changed that screening looks at
    called.invite.reply(200, sdp(ELSEWHERE[0], 50000))
    ask.ack()
    ask.side.bye()
    assert lab.ended == "caller/hung_up 200"


@pytest.mark.parametrize("uri", [f"sip:{OTHER}@pbx.example", f"tel:{OTHER}"])
def test_another_number_is_screened_and_goes_by_the_hops_it_has(lab: Lab, uri: str) -> None:
    ask = lab.carrier.invite(NUMBER)
    redirect(lab, uri)
    again = lab.asked[1]
    assert (again.called, again.calling, again.diversion) == (OTHER, "+8613800000001", (NUMBER,))
    assert str(lab.phone.calls[1].invite.request.uri) == f"sip:{OTHER}@{ACCESS[0]}:{ACCESS[1]}"
    lab.phone.calls[1].invite.reply(486)
    assert ask.statuses == [100, 486]


def test_a_target_that_is_blocked_is_not_called(lab: Lab) -> None:
    def decide(request: ScreeningRequest) -> Decision:
        found = allow(request)
        return msgspec.structs.replace(found, action=Action.REJECT) if request.called == OTHER else found

    lab.decide = decide
    ask = lab.carrier.invite(NUMBER)
    redirect(lab, f"tel:{OTHER}")
    assert ask.statuses == [100, 480]
    assert len(lab.phone.calls) == 1
    assert lab.ended == "upstream/failed 480"


def test_the_next_contact_where_one_fails_the_preferred_first(lab: Lab) -> None:
    there = elsewhere(lab)
    ask = lab.carrier.invite(NUMBER)
    redirect(lab, f"tel:{OTHER};q=0.3", f"sip:{NUMBER}@{ELSEWHERE[0]}:{ELSEWHERE[1]};q=0.7")
    there.calls[0].invite.reply(503)
    assert lab.asked[-1].called == OTHER
    lab.phone.calls[1].invite.reply(404)
    assert ask.statuses == [100, 404]


def test_a_subscriber_who_forwards_to_110_is_protected_from_there_on(lab: Lab) -> None:
    def decide(request: ScreeningRequest) -> Decision:
        found = allow(request)
        return msgspec.structs.replace(found, protected=request.called == "110", record=True)

    lab.decide = decide
    ask = lab.carrier.invite(NUMBER)
    redirect(lab, "tel:110")
    lab.phone.calls[1].invite.reply(200, sdp(ACCESS[0], 50000))
    ask.ack()
    assert lab.stages[-1] == "connected"
    assert lab.media.playing() == []
    ask.side.bye()


def test_a_protected_number_is_called_by_our_own_hops_whatever_address_the_contact_names(lab: Lab) -> None:
    """Else an exemption from warning and recording would go to whoever answers there."""
    there = elsewhere(lab)
    lab.decide = lambda request: msgspec.structs.replace(allow(request), protected=request.called == "110")
    ask = lab.carrier.invite(NUMBER)
    redirect(lab, f"sip:110@{ELSEWHERE[0]}:{ELSEWHERE[1]}")
    assert there.calls == []
    assert str(lab.phone.calls[1].invite.request.uri) == f"sip:110@{ACCESS[0]}:{ACCESS[1]}"
    ask.cancel()


@pytest.mark.parametrize("other", [f"tel:{OTHER};q=0.5", f"sip:{NUMBER}@{ELSEWHERE[0]}:{ELSEWHERE[1]};q=0.5"])
def test_a_call_that_has_become_protected_goes_nowhere_else(lab: Lab, other: str) -> None:
    """Else 110 before another contact would take warning and recording off that one."""
    there = elsewhere(lab)

    def decide(request: ScreeningRequest) -> Decision:
        help_ = request.called == "110"
        found = msgspec.structs.replace(allow(request), protected=help_)
        return found if help_ else msgspec.structs.replace(found, action=Action.WARN, announcement="warning")

    lab.decide = decide
    ask = lab.carrier.invite(NUMBER)
    redirect(lab, "tel:110;q=0.9", other)
    lab.phone.calls[1].invite.reply(503)
    assert len(lab.phone.calls) == 2
    assert there.calls == []
    assert ask.statuses[-1] == 500


def test_a_forwarded_call_is_the_subscriber_s(lab: Lab) -> None:
    lab.verdict(hops=(Hop(Address(*ACCESS), trunk="access"),))
    ask = lab.carrier.invite(NUMBER)
    redirect(lab, f"tel:{OTHER}")
    assert [asked.trunk for asked in lab.asked] == ["carrier", "access"]
    ask.cancel()


# --- limits ---


def test_redirections_in_a_circle_end(lab: Lab) -> None:
    there = elsewhere(lab)
    ask = lab.carrier.invite(NUMBER)
    redirect(lab, f"sip:{NUMBER}@{ELSEWHERE[0]}:{ELSEWHERE[1]}")
    there.calls[0].invite.reply(302, headers=contacts(f"sip:{NUMBER}@{ACCESS[0]}:{ACCESS[1]}"))
    assert ask.statuses == [100, 480]
    assert len(lab.phone.calls) == len(there.calls) == 1


def test_no_more_contacts_than_the_limit() -> None:
    lab = Lab(redirects=3)
    ask = lab.carrier.invite(NUMBER)
    for number in range(10):
        if ask.status == 480:
            break
        redirect(lab, f"tel:1391111000{number}")
    assert ask.statuses == [100, 480]
    assert len(lab.phone.calls) == 4
    lab.settle()


def test_nothing_is_followed_where_that_is_turned_off() -> None:
    lab = Lab(redirects=0)
    ask = lab.carrier.invite(NUMBER)
    redirect(lab, f"tel:{OTHER}")
    assert ask.statuses == [100, 480]
    assert lab.ended == "upstream/failed 480"
    lab.settle()


@pytest.mark.parametrize(
    "uri",
    [
        "mailto:a@example.org",
        "urn:service:sos",
        "http://example.org/",
        "sip:1@127.0.20.1:5060",
        "sip:1@224.0.0.1",
        "sip:1@169.254.169.254",
        "sip:1@0.0.0.0",
        "sip:1@192.0.2.1;transport=sctp",
        f"sip:{NUMBER}@pbx.example",
    ],
)
def test_targets_that_are_not_followed(lab: Lab, uri: str) -> None:
    ask = lab.carrier.invite(NUMBER)
    redirect(lab, uri)
    assert ask.statuses == [100, 480]
    assert len(lab.asked) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.0.2.1"])
def test_nobody_sends_us_to_ourselves(host: str) -> None:
    """Not to what listens on this host for itself alone, nor to ports of ours."""
    lab = Lab(own=OwnAddresses.of(("192.0.2.1",), range(20_000, 30_000), (5060, 5061)))
    ask = lab.carrier.invite(NUMBER, sdp("198.51.100.1"))
    redirect(lab, f"sip:1@{f'[{host}]' if ':' in host else host}:5061")
    assert ask.statuses == [100, 480]
    assert len(lab.asked) == 1


def test_the_caller_gives_up_while_the_target_is_screened(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, sdp("198.51.100.1"))
    lab.thinks = True
    redirect(lab, f"tel:{OTHER}")
    ask.cancel()
    lab.think()
    assert lab.ended == "caller/cancelled 487"
    assert len(lab.phone.calls) == 1


# --- History-Info and Diversion ---


def trusting() -> Lab:
    trunks: dict[str, Any] = {
        name: msgspec.structs.replace(trunk, trusted_identity=True) for name, trunk in TRUNKS.items()
    }
    lab = Lab(trunks=trunks)
    lab.verdict(pass_identity=True)
    return lab


GIVEN = [
    ("Diversion", "<sip:+8613811111111@a.example>;reason=user-busy;counter=2"),
    ("History-Info", "<sip:+8613811111111@a.example>;index=1, <sip:13900000002@b.example>;index=1.1;mp=1"),
]


def test_what_came_before_passes_between_trusted_trunks() -> None:
    lab = trusting()
    ask = lab.carrier.invite(NUMBER, headers=GIVEN)
    request = lab.phone.calls[0].invite.request
    assert request.get_all("Diversion") == [GIVEN[0][1]]
    assert request.get_all("History-Info") == GIVEN[1][1].split(", ")
    ask.cancel()
    lab.settle()


def test_it_passes_nowhere_else(lab: Lab) -> None:
    ask = lab.carrier.invite(NUMBER, headers=GIVEN)
    request = lab.phone.calls[0].invite.request
    assert request.rows("Diversion") == request.rows("History-Info") == []
    ask.cancel()


def test_there_is_an_end_to_it() -> None:
    lab = trusting()
    many = [("Diversion", f"<sip:{number}@a.example>") for number in range(40)]
    many += [("History-Info", f"<sip:{number}@a.example>;index={number}") for number in range(40)]
    ask = lab.carrier.invite(NUMBER, headers=many)
    request = lab.phone.calls[0].invite.request
    assert request.get_all("Diversion") == [value for _, value in many[:10]]
    assert request.get_all("History-Info") == [value for _, value in many[60:]]
    ask.cancel()
    lab.settle()


def test_a_redirection_that_we_follow_is_told() -> None:
    lab = trusting()
    ask = lab.carrier.invite(NUMBER, sdp("198.51.100.1"))
    lab.phone.calls[0].invite.reply(180)
    redirect(lab, f"tel:{OTHER}")
    request = lab.phone.calls[1].invite.request
    assert request.get_all("Diversion") == [f"<sip:{NUMBER}@127.0.20.1>;reason=no-answer;counter=1"]
    assert request.get_all("History-Info") == [
        f"<sip:{NUMBER}@127.0.20.1?Reason=SIP%3Bcause%3D302>;index=1",
        f"<sip:{OTHER}@127.0.20.1>;index=1.1;mp=1",
    ]
    ask.cancel()
    lab.settle()


def test_and_continues_what_came_before() -> None:
    lab = trusting()
    ask = lab.carrier.invite(NUMBER, headers=GIVEN)
    redirect(lab, f"tel:{OTHER}")
    request = lab.phone.calls[1].invite.request
    assert [value.partition(";")[2] for value in request.get_all("Diversion")] == [
        "reason=unconditional;counter=1",
        "reason=user-busy;counter=2",
    ]
    assert [value.partition("index=")[2] for value in request.get_all("History-Info")] == [
        "1",
        "1.1;mp=1",
        "1.1.1;mp=1.1",
    ]
    ask.cancel()
    lab.settle()


# --- whose word leads to an address ---


def by_trunk(request: ScreeningRequest) -> Decision:
    """As `allow`, with the trunk that a hop is of."""
    found, called = allow(request), "access" if request.trunk == "carrier" else "carrier"
    return msgspec.structs.replace(found, hops=(msgspec.structs.replace(found.hops[0], trunk=called),))


def of_trunks(**access: Any) -> Lab:
    """`pbx` is one more access trunk, with its target elsewhere."""
    pbx = msgspec.structs.replace(TRUNKS["access"], match=(ELSEWHERE[0],), next_hop=Address(*ELSEWHERE))
    changed = msgspec.structs.replace(TRUNKS["access"], **access)
    lab = Lab(trunks=TRUNKS | {"access": changed, "pbx": pbx})
    lab.decide = by_trunk
    return lab


STRANGE = ("198.51.100.7", 5060)


def strange(lab: Lab) -> Peer:
    peer = Peer("Y", STRANGE, lab.engine, lab.post)
    lab.join(peer)
    return peer


@pytest.mark.parametrize("number", [NUMBER, OTHER])
def test_a_subscriber_s_phone_sends_no_call_to_a_strange_address(number: str) -> None:
    lab = of_trunks()
    there = strange(lab)
    ask = lab.carrier.invite(NUMBER)
    redirect(lab, f"sip:{number}@{STRANGE[0]}")
    assert there.calls == []
    if number == NUMBER:
        assert ask.statuses == [100, 480]
    else:  # the number stands, and goes the way that it has from a subscriber
        assert (lab.asked[1].trunk, lab.asked[1].called) == ("access", OTHER)
        assert str(lab.carrier.calls[-1].invite.request.uri) == f"sip:{OTHER}@{CARRIER[0]}:{CARRIER[1]}"


@pytest.mark.parametrize("port", [ELSEWHERE[1], 53])
def test_it_may_name_a_trunk_s_target_but_no_other_port_there(port: int) -> None:
    lab = of_trunks()
    there = elsewhere(lab)
    lab.carrier.invite(NUMBER)
    redirect(lab, f"sip:{NUMBER}@{ELSEWHERE[0]}:{port}")
    assert len(there.calls) == (port == ELSEWHERE[1])
    if there.calls:  # whose phones may no more than those that led there
        stranger = strange(lab)
        there.calls[0].invite.reply(302, headers=contacts(f"sip:{NUMBER}@{STRANGE[0]}"))
        assert stranger.calls == []


def test_an_access_trunk_may_be_allowed_to_name_any_address() -> None:
    lab = of_trunks(redirect_anywhere=True)
    there = strange(lab)
    lab.carrier.invite(NUMBER)
    redirect(lab, f"sip:{NUMBER}@{STRANGE[0]}")
    assert len(there.calls) == 1


@pytest.mark.parametrize("allowed", [None, True, False])
def test_a_carrier_may_unless_it_is_told_not_to(allowed: bool | None) -> None:
    carrier = msgspec.structs.replace(TRUNKS["carrier"], redirect_anywhere=allowed)
    lab = Lab(trunks=TRUNKS | {"carrier": carrier})
    lab.decide = by_trunk
    there = strange(lab)
    lab.phone.invite(NUMBER)
    lab.carrier.calls[0].invite.reply(302, headers=contacts(f"sip:{NUMBER}@{STRANGE[0]}"))
    assert len(there.calls) == (allowed is not False)
