"""RFC 8866: what was parsed is what is written, whatever a peer sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sdp import Connection, Direction, Line, Media, Origin, SdpError, SessionDescription, parse

PHONE = (
    b"v=0\r\n"
    b"o=alice 2890844526 2890844527 IN IP4 192.0.2.1\r\n"
    b"s=\r\n"
    b"i=a call\r\n"
    b"c=IN IP4 192.0.2.1\r\n"
    b"b=AS:64\r\n"
    b"t=0 0\r\n"
    b"a=group:BUNDLE 1 2\r\n"
    b"m=audio 49170/2 RTP/AVP 8 0 101\r\n"
    b"i=voice\r\n"
    b"c=IN IP4 192.0.2.9\r\n"
    b"a=rtpmap:8 PCMA/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\n"
    b"a=fmtp:101 0-15\r\n"
    b"a=x-unknown:\xe4\xb8\xad \xff\r\n"
    b"a=ptime:30\r\n"
    b"a=rtcp:53020 IN IP4 192.0.2.10\r\n"
    b"a=sendonly\r\n"
    b"m=video 51372 RTP/SAVP 99\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:xyz\r\n"
)


def test_reads_every_part() -> None:
    sdp = parse(PHONE)
    audio, video = sdp.media
    assert sdp.origin == Origin("alice", 2890844526, 2890844527, "192.0.2.1")
    assert (audio.kind, audio.port, audio.port_count, audio.formats) == ("audio", 49170, 2, ("8", "0", "101"))
    assert audio.rtpmaps[8] == ("PCMA", 8000, 1)
    assert list(audio.values("fmtp")) == ["101 0-15"]
    assert audio.ptime_ms == 30
    assert audio.rtcp == (53020, "192.0.2.10")
    assert sdp.connection_of(audio) == Connection("192.0.2.9")
    assert sdp.connection_of(video) == Connection("192.0.2.1")
    assert sdp.direction_of(audio) is Direction.SENDONLY
    assert sdp.direction_of(video) is Direction.SENDRECV


def test_bytes_survive() -> None:
    assert parse(PHONE).to_bytes() == PHONE


def test_bare_line_feeds_blank_lines_and_any_order_are_read() -> None:
    tidy = parse(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=sendrecv\r\n")
    loose = parse(b"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\n\na=sendrecv\nc=IN IP4 192.0.2.1")
    assert loose == tidy


def test_session_direction_is_the_default_for_its_media() -> None:
    sdp = parse(
        b"v=0\no=- 1 1 IN IP4 h\ns=-\na=inactive\nm=audio 4 RTP/AVP 0\nm=audio 6 RTP/AVP 0\na=sendrecv\n"
    )
    assert [sdp.direction_of(media) for media in sdp.media] == [Direction.INACTIVE, Direction.SENDRECV]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "version"),
        (b"v=1\r\no=- 1 1 IN IP4 h\r\n", "version"),
        (b"o=- 1 1 IN IP4 h\r\nv=0\r\n", "version"),
        (b"v=0\r\ns=-\r\n", "origin"),
        (b"v=0\r\no=- one 1 IN IP4 h\r\n", "origin"),
        (b"v=0\r\no=- +1 1 IN IP4 h\r\n", "origin"),
        (b"v=0\r\no=- \xd9\xa1 1 IN IP4 h\r\n", "origin"),
        (b"v=0\r\no=- 1 1 IN IP4\r\n", "origin"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\nc=IN IP4\r\n", "connection"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\nc=ATM IP4 h\r\n", "connection"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio RTP/AVP 0\r\n", "media"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 70000 RTP/AVP 0\r\n", "media"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 4000/0 RTP/AVP 0\r\n", "media"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\nq=what\r\n", "unknown_type"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 4 RTP/AVP 0\r\no=- 2 2 IN IP4 h\r\n", "unknown_type"),
        (b"v=0\r\nnot a line\r\n", "syntax"),
        (b"v=0\ro=- 1 1 IN IP4 h\r\n", "syntax"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\ns=\0\r\n", "syntax"),
        (b"v=0\r\n" + b"a" * 70_000, "too_large"),
        (b"v=0\r\no=- 1 1 IN IP4 h\r\n" + b"m=audio 0 RTP/AVP 0\r\n" * 65, "too_large"),
    ],
)
def test_refuses_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(SdpError) as caught:
        parse(body)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "address",
    [
        "IP4 224.2.1.1/127",
        "IP4 239.255.255.250",
        "IP4 255.255.255.255",
        "IP4 240.0.0.1",
        "IP4 0.0.0.1",
        "IP4 169.254.169.254",
        "IP4 1.2.3",
        "IP4 300.1.1.1",
        "IP6 ff02::1",
        "IP6 fe80::1",
        "IP6 ::ffff:169.254.169.254",
        "IP6 1:2:3",
    ],
)
def test_refuses_addresses_media_must_never_reach(address: str) -> None:
    with pytest.raises(SdpError, match="address"):
        parse(f"v=0\r\no=- 1 1 IN IP4 h\r\nc=IN {address}\r\n".encode())
    with pytest.raises(SdpError, match="address"):
        parse(
            b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 4 RTP/AVP 0\r\na=rtcp:5 IN " + address.split("/")[0].encode()
        )


word = st.text(
    st.characters(codec="ascii", categories=("L", "N"), include_characters="-_/."), min_size=1, max_size=9
)
text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)
address = st.sampled_from(["192.0.2.1", "0.0.0.0", "2001:db8::7", "::", "media.example.com"])
connection = address.map(lambda host: Connection(host, "IP6" if ":" in host else "IP4"))
number = st.integers(0, 10**19)
origin = st.builds(Origin, word, number, number, address)
attributes = st.lists(text, max_size=4).map(tuple)


def lines(types: str) -> st.SearchStrategy[tuple[Line, ...]]:
    return st.lists(st.builds(Line, st.sampled_from(types), text), max_size=4).map(
        lambda found: tuple(sorted(found, key=lambda line: types.index(line.type)))
    )


media = st.builds(
    Media,
    word,
    st.integers(0, 65_535),
    word,
    st.lists(word, min_size=1, max_size=4).map(tuple),
    st.integers(1, 4),
    st.lists(connection, max_size=2).map(tuple),
    attributes,
    lines("ibk"),
)
description = st.builds(
    SessionDescription,
    origin,
    text,
    st.none() | connection,
    st.lists(media, max_size=3).map(tuple),
    attributes,
    lines("iuepbtrzk"),
)


def refused_rtcp(sdp: SessionDescription) -> bool:
    return any(value.startswith("rtcp:") for line in sdp.media for value in line.attributes)


@given(description)
def test_round_trip(sdp: SessionDescription) -> None:
    if not refused_rtcp(sdp):
        assert parse(sdp.to_bytes()) == sdp


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda tail: PHONE[:300] + tail))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        sdp = parse(body)
    except SdpError:
        return
    assert parse(sdp.to_bytes()) == sdp


HEAD = b"v=0\r\no=- 1 1 IN IP4 h\r\n"


@pytest.mark.parametrize(
    "body",
    [
        HEAD + b"a=x\r\n" * 1_000,
        HEAD + b"a=" + b"x" * 5_000 + b"\r\n",
        HEAD + b"m=audio 4 RTP/AVP" + b" 0" * 65 + b"\r\n",
        HEAD + b"m=audio 4 RTP/AVP 0\r\n" + b"c=IN IP4 192.0.2.1\r\n" * 9,
        HEAD + b"a=x\r\n" * 7_000,
    ],
)
def test_everything_has_a_limit(body: bytes) -> None:
    with pytest.raises(SdpError) as caught:
        parse(body)
    assert caught.value.reason == "too_large"
