"""What is passed on has been looked at: the short way refuses what the long one does."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from engine.sdp import OwnAddresses, SdpError, check_targets, origin_place, parse

OWN = OwnAddresses.of(("192.0.2.1", "2001:db8::1"), range(20_000, 30_000), (5060, 5061))
ADDRESSES = (
    "198.51.100.7",
    "192.0.2.1",
    "0.0.0.0",
    "127.0.0.1",
    "169.254.1.1",
    "224.1.1.1",
    "1.2.3",
    "010.0.0.1",
)


def long_way(body: bytes, own: OwnAddresses | None, *, hold: bool) -> str:
    """The reason of a refusal, or nothing."""
    try:
        description = parse(body)
        if own is not None:
            check_targets(description, own, hold=hold)
    except SdpError as error:
        return error.reason
    return ""


def short_way(body: bytes, own: OwnAddresses | None, *, hold: bool) -> str:
    try:
        begin, end = origin_place(body, own, hold=hold)
    except SdpError as error:
        return error.reason
    assert body[begin - 1 : begin + 2] == b"\no=" and body[end : end + 1] in (b"\r", b"\n", b"")
    assert b"\n" not in body[begin:end]
    return ""


piece = st.sampled_from(
    [
        *(
            "a=sendonly",
            "a=recvonly",
            "a=inactive",
            "a=ptime:20",
            "a=rtpmap:8 PCMA/8000",
            "b=AS:64",
            "a=\xe9",
        ),
        *("a=rtcp:20000", "a=rtcp:5 IN IP4 127.0.0.1", "a=rtcp:5 IN IP4 192.0.2.1", "m=video 0 RTP/AVP 96"),
        *("m=audio 20000 RTP/AVP 0", "m=video 40002 RTP/AVP 96", "c=IN IP4 127.0.0.1", "", "x=1", "i=x"),
        *("c=IN IP4 169.254.1.1", "a=a\rb", "k=clear:1"),
    ]
)


@given(
    address=st.sampled_from(ADDRESSES),
    port=st.sampled_from(["0", "40000", "20000", "19999", "5060", "65535", "65536", "99999", "6/2", "+5"]),
    session=st.lists(piece, max_size=2),
    media=st.lists(piece, max_size=3),
    end=st.sampled_from(["\r\n", "\n"]),
    own=st.sampled_from([OWN, None]),
    hold=st.booleans(),
)
@example("198.51.100.7", "40000", [], ["a=rtcp:5 IN IP4 127.0.0.1"], "\r\n", OWN, False)
@example("192.0.2.1", "40000", [], ["a=rtcp:20000"], "\r\n", OWN, False)
@example("192.0.2.1", "19999", [], [], "\r\n", OWN, False)
@example("0.0.0.0", "40000", [], [], "\r\n", OWN, False)
def test_the_short_way_agrees_with_the_long_one(
    address: str,
    port: str,
    session: list[str],
    media: list[str],
    end: str,
    own: OwnAddresses | None,
    hold: bool,
) -> None:
    rows = ["v=0", "o=- 1 1 IN IP4 h", "s=-", f"c=IN IP4 {address}", "t=0 0", *session]
    body = end.join([*rows, f"m=audio {port} RTP/AVP 8 0 101", *media, ""]).encode("latin-1")
    assert short_way(body, own, hold=hold) == long_way(body, own, hold=hold)


@given(st.binary(max_size=200), st.integers(0, 200), st.integers(0, 10))
def test_any_change_to_a_plain_one_is_seen_alike(change: bytes, place: int, cut: int) -> None:
    plain = (
        b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
        b"m=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    )
    body = plain[:place] + change + plain[place + cut :]
    assert short_way(body, OWN, hold=False) == long_way(body, OWN, hold=False)
