"""What is left of a malformed INVITE for help."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sip.message import Request
from engine.sip.parse import parse
from engine.sip.salvage import salvaged
from engine.sip.uri import Uri

SOURCE = ("192.0.2.7", 5070)
ROWS = {
    "Via": "SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK1;rport",
    "From": "<sip:alice@x>;tag=a",
    "To": "<sip:110@x>",
    "Call-ID": "c",
    "CSeq": "1 INVITE",
    "Contact": "<sip:alice@192.0.2.7:5070>",
}


def invite(start: str = "INVITE sip:110@x SIP/2.0", body: bytes = b"", **rows: str | None) -> bytes:
    named = {name.replace("_", "-"): value for name, value in rows.items()}
    lines = [f"{name}: {value}" for name, value in (ROWS | named).items() if value is not None]
    return "\r\n".join([start, *lines, "", ""]).encode("utf-8", "surrogateescape") + body


def wanted(uri: Uri) -> bool:
    return (uri.user or "").startswith("110") or uri.host.startswith("service:sos")


def saved(data: bytes) -> Request:
    request = salvaged(data, SOURCE, wanted)
    assert request is not None
    request.validate()
    return request


@pytest.mark.parametrize(
    "rows",
    [
        {"Contact": "<sip:"},
        {"Contact": None},
        {"Contact": "*"},
        {"From": "nonsense <;tag=a"},
        {"To": '"'},
        {"Max_Forwards": "many"},
        {"Record_Route": "<sip:a;lr"},
        {"Route": "<<>>"},
        {"Content_Length": "9999"},
        {"Content_Length": "-1"},
        {"X": "a\x01b"},
        {"Bad Name": "1"},
        {"Subject": "\udcff" * 10},
        {"Replaces": "x;;"},
    ],
)
def test_what_a_call_for_help_can_do_without(rows: dict[str, str | None]) -> None:
    request = saved(invite(body=b"v=0\r\n", **rows))
    assert (request.method, request.uri.user, request.call_id) == ("INVITE", "110", "c")
    assert request.body == b"v=0\r\n"
    assert request.from_.tag == "a" and request.to.tag is None
    contact = request.contact
    assert contact is not None and contact.uri.host == SOURCE[0] and contact.uri.port == SOURCE[1]


def test_who_cannot_be_read_is_nobody() -> None:
    request = saved(invite(From="<<;tag=a"))
    assert str(request.from_) == "<sip:anonymous@anonymous.invalid>;tag=a"


def test_what_is_readable_stays() -> None:
    body = b"v=0\r\n"
    rows = {"Record_Route": "<sip:p1;lr>, <sip:p2;lr>", "Content_Type": "application/sdp", "Contact": "<sip:"}
    request = saved(invite(body=body, Content_Length=str(len(body)), **rows))
    assert [str(each) for each in request.record_routes] == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert request.get("Content-Type") == "application/sdp"
    assert request.from_.uri.user == "alice"
    assert request.top_via.branch == "z9hG4bK1"


@pytest.mark.parametrize(
    "start",
    ["INVITE sip:110@x?Subject=y SIP/2.0", "invite  sip:110@x SIP/2.0 ", "INVITE urn:service:sos SIP/2.0"],
)
def test_start_lines_that_can_be_read(start: str) -> None:
    assert saved(invite(start)).uri.headers == ()


@pytest.mark.parametrize("method", ["ACK", "BYE"])
def test_what_follows_the_call_is_read_as_well(method: str) -> None:
    """The phone that wrote a From which cannot be read writes it into all of the call's requests."""
    request = saved(
        invite(
            f"{method} sip:us@y SIP/2.0",
            To='"x;tag=1" <sip:110@x>;tag=ours',
            CSeq=f"1 {method}",
            From='"Ann <sip:ann@h>;tag=77',
        )
    )
    assert (request.method, request.to_tag, request.from_tag) == (method, "ours", "77")
    assert str(request.uri) == "sip:us@y"


def test_a_call_for_help_can_be_cancelled() -> None:
    request = saved(invite("CANCEL sip:110@x SIP/2.0", CSeq="1 CANCEL", From='"Ann <sip:ann@h>;tag=77'))
    assert (request.method, request.from_tag) == ("CANCEL", "77")


@pytest.mark.parametrize(
    "data",
    [
        invite("INVITE sip:111@x SIP/2.0", Contact="<sip:"),
        invite("BYE sip:110@x SIP/2.0", CSeq="1 BYE", Contact="<sip:"),  # of no dialog
        invite("REGISTER sip:110@x SIP/2.0", CSeq="1 REGISTER", Contact="<sip:"),
        invite("CANCEL sip:110@x SIP/2.0", To="<sip:110@x>;tag=b", CSeq="1 CANCEL", From="<<;tag=a"),
        invite("ACK sip:us@y SIP/2.0", To="<sip:111@x>;tag=b", CSeq="1 ACK", From="<<;tag=a"),
        invite(To='"unread <sip:110@x>;tag=inside', Contact="<sip:"),
        invite("INVITE sip:110@x SIP/3.0"),
        invite(To="<sip:110@x>;tag=inside", Contact="<sip:"),
        invite(To="unreadable <", X="\r\nTo: <sip:110@x>;tag=inside"),
        invite("INVITE sip:110\udc80@x SIP/2.0"),
        invite(Via="SIP/2.0"),
        invite(Call_ID=None),
        invite(CSeq="x INVITE"),
        invite(CSeq="1 BYE"),
        invite("ACK sip:us@y SIP/2.0", To="<sip:110@x>;tag=b", CSeq="1 BYE", From="<<;tag=a"),
        b"",
        b"\r\n\r\n",
        b"\xff" * 100,
    ],
)
def test_what_cannot_be_answered_is_given_up(data: bytes) -> None:
    assert salvaged(data, SOURCE, wanted) is None


@given(
    st.lists(
        st.tuples(st.sampled_from([*ROWS, "Route", "X", "Max-Forwards"]), st.text(max_size=60)), max_size=8
    )
)
def test_whatever_comes_what_is_made_of_it_is_well_formed(rows: list[tuple[str, str]]) -> None:
    lines = [f"{name}: {value}" for name, value in [*rows, *ROWS.items()]]
    data = "\r\n".join(["INVITE sip:110@x SIP/2.0", *lines, "", ""]).encode("utf-8", "surrogateescape")
    request = salvaged(data, SOURCE, wanted)
    if request is not None:
        request.validate()
        again = parse(request.to_bytes())
        assert isinstance(again, Request) and wanted(again.uri)


@given(st.binary(max_size=400))
def test_noise_is_no_call(data: bytes) -> None:
    for noise in (data, b"INVITE sip:110@x SIP/2.0\r\n" + data):
        request = salvaged(noise, SOURCE, wanted)
        assert request is None or request.method == "INVITE"
