"""Who a phone may say it is, and what the edge says of it (RFC 3325, RFC 3323)."""

from __future__ import annotations

import pytest

from engine.edge.accounts import Accounts
from engine.sip.dialog import Dialog
from engine.sip.effects import RequestReceived
from engine.sip.message import Request
from engine.sip.uri import Uri
from tests.edge.kit import EDGE, Lab, Phone, last, place, registered, ring, second
from tests.sip.kit import make_request

ACCOUNTS = Accounts(
    ["alice", "carol"], {"carol": ["801", "+86802"]}, address_of=lambda user: user.removeprefix("+86")
)


def test_a_number_belongs_to_one_user() -> None:
    assert [ACCOUNTS.owner(user) for user in ("alice", "+86801", "802", "803", "", None)] == [
        "alice",
        "carol",
        "carol",
        None,
        None,
        None,
    ]
    for theirs in (["801", "alice"], ["801"]):
        with pytest.raises(ValueError, match="another user"):
            Accounts(["alice", "carol"], {"carol": ["801"], "alice": ["7"], "bob": theirs}, address_of=str)


@pytest.fixture
def carol(lab: Lab) -> Phone:
    """Has two numbers, the first of which is the main one."""
    return registered(lab, lab.phone("carol", "192.0.2.23"))


def asserted(lab: Lab) -> list[str]:
    return list(lab.engine.hear(RequestReceived).request.rows("P-Asserted-Identity"))


@pytest.mark.parametrize(
    ("user", "wish", "expected"),
    [
        ("carol", "", "carol"),
        ("801", "", "801"),
        ("+86802", "", "802"),
        ("anonymous", "", "801"),
        ("Anonymous", "", "801"),
        ("anonymous", "<sip:802@x>", "802"),
        ("carol", "<tel:802>, <sip:801@x>", "802"),
        ("801", '"unreadable', "801"),
        ("801", "<sip:alice@x>", "801"),
    ],
)
def test_the_identity_that_a_phone_wishes_and_has(
    lab: Lab, carol: Phone, user: str, wish: str, expected: str
) -> None:
    headers = [("P-Preferred-Identity", wish)] if wish else []
    place(carol, user=user, headers=headers)
    came = lab.engine.hear(RequestReceived).request
    assert came.rows("P-Asserted-Identity") == [f"<sip:{expected}@192.0.2.1>"]
    assert came.rows("P-Preferred-Identity") == []
    assert came.from_.uri.user == user


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE", "OPTIONS"])
@pytest.mark.parametrize("user", ["alice", "800", "110", "+8613800138000", "bob;x", "carol "])
def test_a_from_that_is_another_s_is_refused(lab: Lab, carol: Phone, method: str, user: str) -> None:
    request = carol.make(method, "1", user=user)
    answer = carol.ask(request)
    assert answer.status == 407
    assert carol.ask(carol.with_credentials(request, answer)).status == 403
    assert lab.engine.heard == []


def test_a_connection_of_one_phone_is_no_proof_of_another(lab: Lab) -> None:
    desk = second(lab)
    for user, status in (("alice", 407), ("anonymous", 407), ("bob", 100)):
        assert desk.ask(desk.make("INVITE", "1", call_id=user, user=user)).status == status


def test_a_connection_is_proof_of_the_wish_too(lab: Lab) -> None:
    desk = second(lab)
    wish = ("P-Preferred-Identity", "<sip:bob@x>")
    desk.send(desk.make("INVITE", "1", user="anonymous", headers=[wish]))
    assert asserted(lab) == ["<sip:bob@192.0.2.1>"]


def test_a_registration_is_for_oneself_and_by_oneself(lab: Lab) -> None:
    carol = lab.phone("carol", "192.0.2.23")
    for to, user, status in (("802", "801", 200), ("carol", "alice", 403), ("alice", "carol", 403)):
        request = carol.make("REGISTER", to, user=user, call_id=f"{to} {user}")
        answer = carol.ask(carol.with_credentials(request, carol.ask(request)))
        assert answer.status == status
    assert [binding.user for binding in lab.core.bindings] == ["carol"]


def test_a_user_is_called_by_each_of_its_numbers(lab: Lab, carol: Phone) -> None:
    for number in ("carol", "801", "+86802"):
        ring(lab, number, call_id=number)
        assert carol.takes().request.method == "INVITE"
    ring(lab, "803", call_id="803")
    assert last(lab.engine).status == 404


@pytest.mark.parametrize("user", ["alice", "110", "anonymous"])
def test_a_call_for_help_is_never_refused_for_its_from(lab: Lab, carol: Phone, user: str) -> None:
    carol.send(carol.make("INVITE", "110", user=user))
    came = lab.engine.hear(RequestReceived).request
    assert came.rows("P-Asserted-Identity") == ["<sip:anonymous@anonymous.invalid>"]


FORGED = {
    "P-Asserted-Identity": "<sip:110@x>",
    "p-asserted-identity": "<tel:110>",
    "Remote-Party-ID": "<sip:110@x>;party=calling",
    "remote-party-id": "<sip:110@x>",
    "Diversion": "<sip:110@x>;reason=no-answer",
    "History-Info": "<sip:110@x>;index=1",
}


def test_what_only_the_network_knows_is_not_taken_from_a_phone(lab: Lab, carol: Phone) -> None:
    invite = place(carol, headers=FORGED.items())
    came = lab.engine.hear(RequestReceived)
    answer = lab.engine.respond(came.key, came.request, 200)
    dialog = Dialog.uac(invite, answer, carol.contact)
    info = dialog.request("INFO")
    carol.request(Request("INFO", info.uri, [*info.headers, *FORGED.items()]), EDGE)
    inside = lab.engine.hear(RequestReceived).request
    assert inside.method == "INFO"
    for request in (came.request, inside):
        assert "110" not in str(request.headers)


def test_the_engine_is_believed(lab: Lab, carol: Phone) -> None:
    request = make_request("INVITE", lab.engine, EDGE)
    target = Uri("sip", "carol", *EDGE)
    lab.engine.request(Request("INVITE", target, [*request.headers, *FORGED.items()]), EDGE)
    came = carol.takes().request
    assert [len(came.rows(name)) for name in ("P-Asserted-Identity", "Diversion", "History-Info")] == [
        2,
        1,
        1,
    ]
