"""Where a call may still go: hops of its decision, and targets of redirections (RFC 3261 §8.1.3.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from msgspec import Struct, structs

from engine.call.diversion import Diverted
from engine.call.values import NOTHING_OWN, Decision, Hop
from engine.model.address import Address
from engine.sdp import OwnAddresses, SdpError
from engine.sdp.addresses import check_address
from engine.sip.flow import DEFAULT_PORTS
from engine.sip.uri import NameAddr, Uri, is_address

_TRANSPORTS: Final = {"udp": "udp", "tcp": "tcp", "tls": "tls"}
_FINAL: Final = 600
"""From here on the answer speaks for the callee, wherever it was asked (RFC 3261 §21.6)."""


def as_it_came(decision: Decision, trunk: str, transport: str) -> Decision:
    """Each hop of that trunk by the transport of the caller first, then by the trunk's own."""
    hops: list[Hop] = []
    for hop in decision.hops:
        if hop.trunk == trunk and hop.transport != transport and transport in _TRANSPORTS:
            hops.append(structs.replace(hop, transport=transport))
        hops.append(hop)
    return decision if len(hops) == len(decision.hops) else structs.replace(decision, hops=tuple(hops))


TrunkAt = Callable[[str, str, Address], str | None]
"""See `Trunks.redirected`."""


class Target(NamedTuple):
    """A contact of a redirection: a number, and an address where the contact names one."""

    uri: Uri
    number: str
    address: Address | None
    transport: str
    trunk: str = ""
    """Whose target the address is, if any trunk's."""


class Attempts(Struct, eq=False):
    """Of one call. The next is taken by `take`; nothing is tried twice."""

    waiting: list[Hop | Target]
    """What is to be tried yet, in order."""
    _dialled: str
    _contact: Address
    _own: OwnAddresses
    _limit: int
    """So many contacts of redirections may still be followed."""
    _tried: tuple[Hop, ...] = ()
    hop: Hop | None = None
    """The one under way, or the last."""
    diverted: tuple[Diverted, ...] = ()
    """The redirections on the way to `hop`."""
    _before: tuple[Diverted, ...] = ()
    """Those before the last one."""
    _from: tuple[str, int, bool] | None = None
    """Number, status and ringing of the redirection whose contacts are waiting."""

    def take(self) -> Hop | Target:
        """The next hop to call, or a target that is to be screened first."""
        found = self.waiting.pop(0)
        if isinstance(found, Hop):
            self.hop = found
            self._tried = (*self._tried, found)
            if self._from is not None:
                number, status, rang = self._from
                self.diverted = (*self._before, Diverted(number, self.number, status, rang))
        return found

    @property
    def number(self) -> str:
        """Whom the hop under way is asked for."""
        return (self.hop.called_user if self.hop is not None else "") or self._dialled

    def passes_on(self, status: int, no_response: str) -> bool:
        """Whether this end of an attempt lets the next hop be tried; never what the callee has decided."""
        if not self.waiting or status >= _FINAL:
            return False
        return (
            bool(no_response)
            or status == 503
            or (self.hop is not None and status in self.hop.failover_statuses)
        )

    # --- redirections ---

    def redirect(self, contacts: Iterable[NameAddr], status: int, *, rang: bool, trunk_at: TrunkAt) -> bool:
        """Put the contacts of a 3xx in place of what was to be tried; False where none can be followed."""
        found: list[Hop | Target] = []
        for contact in sorted(contacts, key=_preference, reverse=True):
            target = self._target(contact.uri, trunk_at)
            if target is None or self._limit == 0:
                continue
            waiting: Hop | Target = target
            if self.same_number(target.number):
                if target.address is None:
                    continue  # the number that we are calling, by a name for which we have our own hops
                waiting = self.direct(target)
                if self._has_tried(waiting) or waiting in found:
                    continue
            self._limit -= 1
            found.append(waiting)
        if found:
            self.waiting = found
            self._from, self._before = (self.number, status, rang), self.diverted
        return bool(found)

    def screened(self, target: Target, hops: Iterable[Hop], *, protected: bool = False) -> bool:
        """Screening lets the call go on to `target`: by its address, or by the hops its number has.

        A protected number is where our own hops lead, not where a contact says it is; and the call, exempt
        now from all that screening does, goes to nobody else.
        """
        if target.address is not None and not protected:
            ways: list[Hop] = [self.direct(target)]
        else:
            ways = [structs.replace(hop, called_user=hop.called_user or target.number) for hop in hops]
        new = [hop for hop in ways if not self._has_tried(hop)]
        self.waiting = [*new] if protected else [*new, *self.waiting]
        return bool(new)

    def same_number(self, number: str) -> bool:
        return number == self.number

    def direct(self, target: Target) -> Hop:
        """The hop to the address in a contact: of the trunk that redirected, where the host is its."""
        address, hop = target.address, self.hop
        assert address is not None
        near = hop is not None and hop.address.host == address.host
        base = hop if near and hop is not None else Hop(address, trunk=target.trunk)
        return structs.replace(base, address=address, transport=target.transport, called_user=target.number)

    def _target(self, uri: Uri, trunk_at: TrunkAt) -> Target | None:
        """What a contact means; None where it cannot be followed: other schemes, no number, ourselves.

        An address to which its trunk may not lead says no more than a name: there is the number still.
        """
        if uri.scheme not in ("sip", "sips", "tel"):
            return None
        number = uri.user or self._dialled
        if uri.scheme == "tel" or not is_address(uri.host):
            return Target(uri, number, None, "") if uri.user else None
        transport = (
            "tls" if uri.scheme == "sips" else _TRANSPORTS.get((uri.params.get("transport") or "udp").lower())
        )
        if transport is None:
            return None
        address = Address(uri.host, uri.port or DEFAULT_PORTS[transport])
        if address == self._contact or not _may_be_called(address, self._own):
            return None
        trunk = trunk_at(self.hop.trunk if self.hop is not None else "", transport, address)
        if trunk is None:
            return Target(uri, number, None, "") if uri.user else None
        return Target(uri, number, address, transport, trunk)

    def _has_tried(self, hop: Hop) -> bool:
        key = self._key(hop)
        return any(self._key(each) == key for each in self._tried)

    def _key(self, hop: Hop) -> tuple[str, str]:
        return hop.called_user or self._dialled, f"{hop.transport}:{hop.address}"


NO_ATTEMPTS: Final = Attempts([], "", Address("", 0), NOTHING_OWN, 0)
"""Of a call that has not begun to try, or has been answered."""


def _preference(contact: NameAddr) -> float:
    """Its q (RFC 3261 §20.10); 1 where it has none or none that can be read."""
    q = contact.params.get("q") or "1"
    whole, _, decimals = q.partition(".")
    if whole not in ("0", "1") or not (decimals == "" or (decimals.isascii() and decimals.isdigit())):
        return 1.0
    return float(q)


def _may_be_called(address: Address, own: OwnAddresses) -> bool:
    """No multicast, link-local or unspecified address, no metadata service, nothing on this host: a peer does
    not send us there.
    """
    try:
        check_address(address.host)
        own.check(address.host, address.port)
    except SdpError:
        return False
    return address.host not in ("0.0.0.0", "::")  # noqa: S104 (an address that is refused)
