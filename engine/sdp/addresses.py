"""Where media may be sent: what no description may name, and what none may name on this host.

A peer that could point a stream anywhere would have us, or the far end, send to a metadata service, to a
whole network, or to ourselves in a circle.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from engine.sdp.errors import SdpError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_THIS_NETWORK: Final = ipaddress.IPv4Network("0.0.0.0/8")
_CLASS_E: Final = ipaddress.IPv4Network("240.0.0.0/4")
"""Reserved, the limited broadcast address included (RFC 6890)."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 behind a translator, in the last 32 bits (RFC 6052 §2.1)."""
_NAME_MOST: Final = 255
"""Octets of a domain name (RFC 1035 §2.3.4)."""
_METADATA: Final = frozenset(
    ipaddress.ip_address(text) for text in ("100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
"""Metadata services of clouds outside 169.254.0.0/16, which is link-local anyway."""


@lru_cache(maxsize=4_096)
def literal(address: str) -> IpAddress | None:
    """The address that is meant, an IPv4 one where IPv6 only carries it; None for a host name.

    Raises `SdpError` for what is neither: parts of addresses, zones (they mean this host's interfaces), and
    the spellings that C libraries read as addresses all the same (127.1, 0x7f000001, 2130706433).
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        label = address.removesuffix(".").rpartition(".")[2]
        numeric = ":" in address or not label[:1].isalpha()  # no top-level domain begins with a digit
        if numeric or len(address) > _NAME_MOST:
            raise SdpError("address", address) from None
        return None
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed
    if parsed.scope_id is not None:
        raise SdpError("address", address)
    if parsed in _NAT64:
        return ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF)
    return parsed.ipv4_mapped or parsed.sixtofour or parsed


class _Known(NamedTuple):
    """What there is to say of an address."""

    address: IpAddress | None
    """None: a host name."""
    forbidden: bool = False
    unspecified: bool = False
    loopback: bool = False


@lru_cache(maxsize=4_096)  # a peer's media gateway is named in all its calls
def known(text: str) -> _Known:
    """Raises `SdpError` where `literal` does; an address that is forbidden is told as such."""
    address = literal(text)
    if address is None:
        return _Known(None)
    forbidden = address.is_multicast or address.is_link_local or address in _METADATA
    if isinstance(address, ipaddress.IPv4Address) and not address.is_unspecified:
        forbidden = forbidden or address in _THIS_NETWORK or address in _CLASS_E
    return _Known(address, forbidden, address.is_unspecified, address.is_loopback)


def check_address(address: str) -> None:
    """Raise `SdpError` for an address no media may be sent to; 0.0.0.0 and :: (hold) and names pass."""
    if known(address).forbidden:
        raise SdpError("address", address)


def is_unspecified(address: str) -> bool:
    """0.0.0.0 or ::. Raises `SdpError` where `check_address` does."""
    found = known(address)
    if found.forbidden:
        raise SdpError("address", address)
    return found.unspecified


@dataclass(frozen=True, slots=True)
class OwnAddresses:
    """What is ours, where no stream may end: it would go round in circles, or into our signalling.

    Broadcast addresses of networks next to us are not known here; the kernel lets no socket of ours send to
    them, since none asks for SO_BROADCAST.
    """

    hosts: frozenset[IpAddress] = frozenset()
    media_ports: range = range(0)
    sip_ports: frozenset[int] = frozenset()
    loopback: bool = False
    """We listen on loopback ourselves: so may peers, as in a lab."""

    @classmethod
    def of(cls, hosts: tuple[str, ...], media_ports: range, sip_ports: tuple[int, ...]) -> OwnAddresses:
        """From configuration; hosts that are no literals (names, interfaces) are left out."""
        found = set()
        for host in hosts:
            try:
                found.add(ipaddress.ip_address(host))
            except ValueError:
                continue
        own = frozenset(found)
        loopback = any(address.is_loopback for address in own)
        return cls(own, media_ports, frozenset(sip_ports), loopback)

    def check(self, address: str, *ports: int) -> None:
        """Raise `SdpError` where a stream to one of `ports` there would be one to ourselves."""
        found = known(address)
        if found.loopback and not self.loopback:
            raise SdpError("address", address)
        for port in ports:
            if (port in self.media_ports or port in self.sip_ports) and found.address in self.hosts:
                raise SdpError("own_address", address)
