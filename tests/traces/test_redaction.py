"""What of a message is kept, and above all what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.traces.redaction import Keep, kept, sip_call_id

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nk=clear:hunter2\r\nm=audio 4000 RTP/SAVP 8\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:hunter2\r\na=rtpmap:8 PCMA/8000\r\n"
)


def message(start: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([start, b"Call-ID: abc@host", *headers, b"", b""]) + body


INVITE = message(b"INVITE sip:2@host SIP/2.0", b"CSeq: 1 INVITE", b"c: application/SDP; x=1", body=SDP)


def test_all_of_an_invite_but_its_keys() -> None:
    text, kind = kept(INVITE, "full")
    assert kind == "application/sdp"
    assert text.split("\n") == [
        "INVITE sip:2@host SIP/2.0",
        "Call-ID: abc@host",
        "CSeq: 1 INVITE",
        "c: application/SDP; x=1",
        "",
        "v=0",
        "o=- 1 1 IN IP4 192.0.2.1",
        "k=(withheld)",
        "m=audio 4000 RTP/SAVP 8",
        "a=crypto:(withheld)",
        "a=rtpmap:8 PCMA/8000",
    ]


def test_headers_only() -> None:
    text, kind = kept(INVITE, "headers")
    assert text.endswith(f"x=1\n\n({len(SDP)} bytes withheld)")
    assert kind == "application/sdp"


@pytest.mark.parametrize("keep", ["headers", "full"])
@pytest.mark.parametrize(
    "header",
    [
        b'Authorization: Digest username="a", response="hunter2"',
        b"AUTHORIZATION :Basic hunter2",
        b'Proxy-Authorization: Digest\r\n username="a",\r\n\tresponse="hunter2"',
        b"proxy-authorization:hunter2",
        b"X: y\rAuthorization: hunter2",
        b"X: y\nAuthorization: hunter2",
        b"Contact: <sip:me:hunter2@host>",
        b"X: y\r\n <sips:me:hunter2@host>",
    ],
)
def test_credentials_are_never_kept(header: bytes, keep: Keep) -> None:
    data = message(b"REGISTER sip:you:hunter2@host SIP/2.0", header, b"Expires: 60", body=b"hunter2")
    text, _ = kept(data, keep)
    assert "hunter2" not in text
    assert "(withheld)" in text
    assert "Expires: 60" in text


@pytest.mark.parametrize(
    "data",
    [
        message(
            b"MESSAGE sip:2@host SIP/2.0", b"CSeq: 1 MESSAGE", b"Content-Type: text/plain", body=b"hunter2"
        ),
        message(b"MESSAGE sip:2@host SIP/2.0", b"Content-Type: application/sdp", body=b"i=hunter2"),
        message(b"SIP/2.0 200 OK", b"CSeq: 1 MESSAGE", b"Content-Type: application/sdp", body=b"i=hunter2"),
        message(b"INFO sip:2@host SIP/2.0", b"Content-Type: application/dtmf-relay", body=b"Signal=hunter2"),
        message(b"INVITE sip:2@host SIP/2.0", b"Content-Type: multipart/mixed", body=b"hunter2"),
    ],
)
def test_of_other_bodies_only_the_size_is_kept(data: bytes) -> None:
    text, kind = kept(data, "full")
    assert "hunter2" not in text and " bytes withheld)" in text
    assert kind


@given(st.binary(max_size=300), st.sampled_from(["headers", "full"]))
def test_any_bytes_become_text_that_moves_no_cursor(data: bytes, keep: Keep) -> None:
    text, _ = kept(data, keep)
    assert all(character.isprintable() or character in "\n\t" for character in text if ord(character) < 0x100)
    text.encode("utf-8")
    sip_call_id(data).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"Call-ID: a@b", "a@b"),
        (b"i:a ", "a"),
        (b"CALL-ID \t:\t a b", "a b"),
        (b"Call: a", ""),
        (b"xi: a", ""),
    ],
)
def test_the_call_id_is_found_in_any_spelling(header: bytes, found: str) -> None:
    assert sip_call_id(b"BYE sip:2@host SIP/2.0\r\nVia: x\r\n" + header + b"\r\n\r\n") == found
