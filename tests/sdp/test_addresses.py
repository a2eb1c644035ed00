"""No stream to ourselves, to a metadata service, or to nowhere."""

from __future__ import annotations

import pytest

from engine.sdp import OwnAddresses, SdpError, check_targets, parse
from engine.sdp.addresses import check_address

OWN = OwnAddresses.of(("192.0.2.1", "2001:db8::1"), range(20_000, 30_000), (5060, 5061))
LAB = OwnAddresses.of(("127.0.20.1",), range(20_000, 30_000), (5060,))


def body(address: str, port: int = 40_000, *lines: str, session: str = "") -> bytes:
    family = "IP6" if ":" in address else "IP4"
    rows = ["v=0", "o=- 1 1 IN IP4 h", "s=-", f"c=IN {family} {address}", "t=0 0"]
    rows += [session] if session else []
    return "\r\n".join([*rows, f"m=audio {port} RTP/AVP 8", *lines, ""]).encode()


def refused(data: bytes, own: OwnAddresses = OWN, *, hold: bool = False) -> str:
    """The reason, or nothing."""
    try:
        check_targets(parse(data), own, hold=hold)
    except SdpError as error:
        return error.reason
    return ""


@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fe80::1%eth0",
        "2001:db8::1%lo",
        "febf::1",
        "100.100.100.200",
        "fd00:ec2::254",
        "0x7f000001",
        "127.1",
        "2130706433",
        "169.254.0.1",
        "::ffff:255.255.255.255",
        "example.0x7f",
        "",
        ".",
    ],
)
def test_spellings_of_what_is_refused(address: str) -> None:
    with pytest.raises(SdpError, match="address"):
        check_address(address)


@pytest.mark.parametrize(
    "address", ["198.51.100.7", "2001:db8::7", "10.0.0.1", "fd00::1", "media.example.com", "a.example."]
)
def test_what_a_phone_may_name(address: str) -> None:
    assert refused(body(address)) == ""


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "2001:db8:0::1"])
@pytest.mark.parametrize(
    ("port", "lines"),
    [
        (20_000, ()),
        (29_999, ()),
        (19_999, ()),  # its RTCP port is ours
        (5060, ()),
        (5061, ()),
        (40_000, ("a=rtcp:20001",)),
    ],
)
def test_our_own_ports(address: str, port: int, lines: tuple[str, ...]) -> None:
    assert refused(body(address, port, *lines)) == "own_address"
    assert refused(body("198.51.100.7", port, *lines)) == ""


def test_our_own_host_by_another_port_is_somebody_else() -> None:
    assert refused(body("192.0.2.1", 40_000)) == ""


def test_our_own_address_for_reports_alone() -> None:
    assert refused(body("198.51.100.7", 40_000, "a=rtcp:20001 IN IP4 192.0.2.1")) == "own_address"


def test_every_stream_is_looked_at_that_is_not_refused() -> None:
    assert refused(body("198.51.100.7", 40_000, "m=video 20002 RTP/AVP 99", "c=IN IP4 192.0.2.1")) != ""
    assert refused(body("198.51.100.7", 40_000, "m=video 0 RTP/AVP 99", "c=IN IP4 192.0.2.1")) == ""


def test_loopback_is_for_those_who_listen_there() -> None:
    for address in ("127.0.0.1", "127.0.30.1", "::1", "::ffff:127.0.0.1"):
        assert refused(body(address)) == "address"
        assert refused(body(address), LAB) == ""
    assert refused(body("127.0.20.1", 20_000), LAB) == "own_address"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "::ffff:0.0.0.0"])
def test_nowhere_is_hold_or_nothing(address: str) -> None:
    assert refused(body(address)) == "address"
    assert refused(body(address), hold=True) == ""
    for direction in ("sendonly", "inactive"):
        assert refused(body(address, 40_000, f"a={direction}")) == ""
        assert refused(body(address, session=f"a={direction}")) == ""
