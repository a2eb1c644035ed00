"""Registering (RFC 3261 §10.3, RFC 3327, RFC 5626)."""

from __future__ import annotations

import pytest

from engine.edge.settings import BindingRemoved
from engine.sip.layer import TransactionLayer
from tests.edge.kit import EDGE, Lab, Phone, settings
from tests.sip.ids import SeededIds


@pytest.fixture
def lab() -> Lab:
    return Lab()


def contacts(lab: Lab, user: str = "bob") -> list[str]:
    return [binding.contact for binding in lab.core.bindings.of(user)]


def test_a_phone_registers_when_it_answers_the_challenge(lab: Lab, newcomer: Phone) -> None:
    answer = newcomer.register()
    assert lab.sent("E") == ["401 Unauthorized (REGISTER)", "200 OK (REGISTER)"]
    assert answer.rows("Contact") == ["<sip:bob@192.0.2.20:5060>;expires=3600"]
    assert answer.to.tag
    assert contacts(lab) == ["sip:bob@192.0.2.20:5060"]
    assert lab.saved == lab.core.bindings.of("bob")


def test_a_binding_is_refreshed_and_expires(lab: Lab, newcomer: Phone) -> None:
    newcomer.register(headers=[("Expires", "100")])
    lab.advance(60)
    assert newcomer.register(headers=[("Expires", "100")]).rows("Contact") == [
        "<sip:bob@192.0.2.20:5060>;expires=100"
    ]
    lab.advance(99)
    assert contacts(lab) == ["sip:bob@192.0.2.20:5060"]
    lab.advance(1)
    assert contacts(lab) == []
    assert lab.saved == []


def test_asking_without_contact_lists_the_bindings(lab: Lab, newcomer: Phone) -> None:
    newcomer.register(contact="<sip:bob@192.0.2.20>;q=0.7;expires=600, <sip:bob@192.0.2.21>")
    lab.advance(10)
    assert newcomer.register(contact="").rows("Contact") == [
        "<sip:bob@192.0.2.21>;expires=3590",
        "<sip:bob@192.0.2.20>;expires=590;q=0.7",
    ]


@pytest.mark.parametrize("how", ["star", "expires", "parameter"])
def test_a_binding_is_taken_back(lab: Lab, newcomer: Phone, how: str) -> None:
    newcomer.register()
    zero = ("Expires", "0")
    if how == "star":
        answer = newcomer.register(contact="*", headers=[zero])
    elif how == "expires":
        answer = newcomer.register(headers=[zero])
    else:
        answer = newcomer.register(contact=f"{newcomer.contact};expires=0")
    assert (answer.status, answer.rows("Contact")) == (200, [])
    assert contacts(lab) == []
    assert isinstance(lab.told[-1], BindingRemoved)


def test_a_star_stands_alone_and_with_zero(newcomer: Phone) -> None:
    newcomer.register()
    assert newcomer.register(contact="*").status == 400
    assert newcomer.register(contact="*", headers=[("Expires", "60")]).status == 400


@pytest.mark.parametrize(
    ("expires", "granted"), [("60", 60), ("99999", 7200), ("soon", 3600), ("4294967295", 7200)]
)
def test_intervals_within_limits(newcomer: Phone, expires: str, granted: int) -> None:
    answer = newcomer.register(headers=[("Expires", expires)])
    assert answer.rows("Contact") == [f"<sip:bob@192.0.2.20:5060>;expires={granted}"]


def test_an_interval_too_brief_is_refused_whole(lab: Lab, newcomer: Phone) -> None:
    answer = newcomer.register(contact="<sip:a@192.0.2.20>, <sip:b@192.0.2.20>;expires=59")
    assert (answer.status, answer.rows("Min-Expires")) == (423, ["60"])
    assert contacts(lab) == []


def test_an_older_register_of_the_same_sequence_changes_nothing(lab: Lab, newcomer: Phone) -> None:
    newcomer.cseq = 10
    newcomer.register()
    newcomer.cseq = 5
    assert newcomer.register(headers=[("Expires", "0")]).status == 500
    newcomer.cseq = 5
    assert newcomer.register(contact="*", headers=[("Expires", "0")]).status == 500
    assert contacts(lab) == ["sip:bob@192.0.2.20:5060"]


def test_nobody_registers_for_somebody_else(lab: Lab, newcomer: Phone) -> None:
    request = newcomer.make("REGISTER", "alice")
    answer = newcomer.ask(newcomer.with_credentials(request, newcomer.ask(request)))
    assert answer.status == 403
    assert contacts(lab, "alice") == []


def test_one_number_has_one_list_however_it_is_spelt(lab: Lab, newcomer: Phone) -> None:
    newcomer.register()
    request = newcomer.make("REGISTER", "+86bob", contact="<sip:bob@192.0.2.30>")
    assert len(newcomer.ask(newcomer.with_credentials(request, newcomer.ask(request))).rows("Contact")) == 2


def test_what_we_do_not_speak_is_refused(newcomer: Phone) -> None:
    answer = newcomer.register(headers=[("Require", "gruu, path")])
    assert (answer.status, answer.rows("Unsupported")) == (420, ["gruu"])


@pytest.mark.parametrize(
    "contact",
    [
        "<sip:bob@192.0.2.20>;q=1.5",
        "<mailto:bob@192.0.2.20>",
        "<sip:bob@192.0.2.20?Subject=x>",
        '<sip:bob@192.0.2.20>;+sip.instance="urn:uuid:1"',
    ],
)
def test_contacts_that_make_no_sense(newcomer: Phone, contact: str) -> None:
    assert newcomer.register(contact=contact).status == 400


def test_the_oldest_binding_makes_room() -> None:
    lab = Lab(settings(most_bindings=2))
    bob = lab.phone("bob", "192.0.2.20")
    for host in ("192.0.2.21", "192.0.2.22", "192.0.2.23"):
        bob.register(contact=f"<sip:bob@{host}>")
    assert contacts(lab) == ["sip:bob@192.0.2.23", "sip:bob@192.0.2.22"]
    assert len(lab.saved) == 2


def test_equivalent_contacts_are_one(lab: Lab, newcomer: Phone) -> None:
    newcomer.register(contact="<sip:bob@PHONE.example;lr;x=1>")
    newcomer.register(contact="<sip:bob@phone.example;y=2>")
    assert contacts(lab) == ["sip:bob@phone.example;y=2"]
    newcomer.register(contact="<sip:bob@phone.example;transport=tcp>")
    assert len(contacts(lab)) == 2


def test_a_path_is_kept_and_repeated(lab: Lab, newcomer: Phone) -> None:
    path = "<sip:p1.example;lr>"
    answer = newcomer.register(headers=[("Path", path), ("Supported", "path")])
    assert answer.rows("Path") == [path]
    assert [binding.path for binding in lab.core.bindings.of("bob")] == [(path,)]


# --- RFC 5626 ---

OUTBOUND = [("Supported", "path, outbound")]
INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'


def test_a_new_connection_of_the_same_instance_replaces_the_old(lab: Lab) -> None:
    first = lab.phone("bob", "192.0.2.20", "tcp", 40001)
    answer = first.register(contact=f"<sip:a@192.0.2.20>;reg-id=1;{INSTANCE}", headers=OUTBOUND)
    assert answer.rows("Require") == ["outbound"]
    assert answer.rows("Flow-Timer") == ["120"]
    assert ";reg-id=1" in answer.rows("Contact")[0]
    again = lab.phone("bob", "192.0.2.20", "tcp", 40002)
    again.cseq = 10
    again.register(contact=f"<sip:b@192.0.2.20>;reg-id=1;{INSTANCE}", headers=OUTBOUND)
    assert contacts(lab) == ["sip:b@192.0.2.20"]
    again.register(contact=f"<sip:c@192.0.2.20>;reg-id=2;{INSTANCE}", headers=OUTBOUND)
    assert contacts(lab) == ["sip:c@192.0.2.20", "sip:b@192.0.2.20"]


def test_without_outbound_in_supported_a_reg_id_means_nothing(lab: Lab, newcomer: Phone) -> None:
    answer = newcomer.register(contact=f"<sip:a@192.0.2.20>;reg-id=1;{INSTANCE}")
    assert answer.rows("Require") == []
    assert [binding.reg_id for binding in lab.core.bindings.of("bob")] == [0]


def test_two_contacts_cannot_share_a_flow(newcomer: Phone) -> None:
    contact = f"<sip:a@192.0.2.20>;reg-id=1;{INSTANCE}, <sip:b@192.0.2.20>"
    assert newcomer.register(contact=contact, headers=OUTBOUND).status == 400


def test_a_proxy_between_that_keeps_no_flow_is_refused(newcomer: Phone) -> None:
    newcomer.layer = TransactionLayer(SeededIds("p"), newcomer.address, proxy=True)
    via = [("Via", "SIP/2.0/UDP 192.0.2.99;branch=z9hG4bK-p")]
    contact = f"<sip:a@192.0.2.20>;reg-id=1;{INSTANCE}"
    assert newcomer.register(contact=contact, headers=OUTBOUND + via).status == 439
    path = [("Path", "<sip:p.example;lr;ob>")]
    assert newcomer.register(contact=contact, headers=OUTBOUND + via + path).status == 200


def test_a_closed_connection_takes_its_bindings_along(lab: Lab, newcomer: Phone) -> None:
    newcomer.register()
    stream = lab.phone("bob", "192.0.2.21", "ws", 40001)
    stream.cseq = 10
    stream.register(contact="<sip:x@a.invalid;transport=ws>")
    assert len(contacts(lab)) == 2
    lab.hang_up_connection(stream)
    assert contacts(lab) == ["sip:bob@192.0.2.20:5060"]
    assert [binding.flow.transport for binding in lab.saved] == ["udp"]


def test_bindings_come_back_after_a_restart(lab: Lab, newcomer: Phone) -> None:
    newcomer.register()
    lab.advance(100)
    lab.start()
    lab.sent("E")
    assert newcomer.register(contact="").rows("Contact") == ["<sip:bob@192.0.2.20:5060>;expires=3500"]


def test_options_to_the_edge_itself(newcomer: Phone) -> None:
    request = newcomer.make("OPTIONS", "x")
    request = type(request)("OPTIONS", f"sip:{EDGE[0]}", request.headers)
    assert newcomer.ask(request).status == 200


@pytest.mark.parametrize("expires", ["0", "600"])
def test_a_contact_that_is_named_twice_counts_once(lab: Lab, newcomer: Phone, expires: str) -> None:
    newcomer.register()
    contact = newcomer.contact
    twice = f"{contact};expires={expires}, {contact};expires=0, {contact};expires=0"
    assert newcomer.register(contact=twice).status == 200
    assert lab.core.counts()["bindings"] == len(list(lab.core.bindings)) == len(lab.saved)
