"""One trunk: its next hops with what the DNS says of them, its targets' health, its limits. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from engine.call.credentials import Credentials
from engine.call.health import Health
from engine.call.limits import Limit, Way
from engine.call.translation import formatted, translated
from engine.call.values import Hop
from engine.model.address import Address
from engine.model.trunk_sections import NextHopSection, TrunkSection
from engine.sip.flow import DEFAULT_PORTS
from engine.sip.location import Draw, Location, Target, in_order, locate
from engine.sip.uri import Uri
from scoring.numbers import Number

MAX_HOPS: Final = 8
"""That one call may try."""


class Dialled(msgspec.Struct, frozen=True):
    """A number of a call: as it was screened, as it came, and what it means by its trunk's rules."""

    number: Number
    text: str
    meant: str


class Route(msgspec.Struct, frozen=True):
    """Hops in the order in which they are to be tried; without any `unrouted` says why."""

    hops: tuple[Hop, ...] = ()
    unrouted: str = ""
    """"not_routed", "over_limit" (after `wait_s` there may be room), "unreachable" (no address is known)."""
    wait_s: float = 0.0


@dataclass(slots=True, eq=False)
class Endpoint:
    """One target of one trunk, and how it is."""

    trunk: str
    target: Target
    health: Health
    ping_at: float | None = None
    """When the next OPTIONS is due."""

    def __str__(self) -> str:
        return f"{self.target.transport}:{Address(self.target.host, self.target.port)}"


@dataclass(slots=True, eq=False)
class Place:
    """One entry of `next_hops`."""

    section: NextHopSection
    uri: Uri
    location: Location | None = None
    """None until the DNS has said something."""
    lookup_at: float | None = None

    @property
    def priority(self) -> int:
        return self.section.priority

    @property
    def weight(self) -> int:
        return self.section.weight


class Trunk:
    """One trunk's state."""

    __slots__ = ("all_down", "constant", "credentials", "endpoints", "limits", "name", "places", "section")

    def __init__(self, name: str, section: TrunkSection) -> None:
        self.name = name
        self.section = section
        self.places = [_place(each) for each in section.places]
        self.limits = {way: Limit(section) for way in Way}
        self.credentials = (
            Credentials(section.username, section.password, section.realm) if section.username else None
        )
        self.endpoints: dict[Target, Endpoint] = {}
        self.set_endpoints()
        self.constant = self._constant()
        """The route that it always is, where no limit, rule, health or DNS can change it."""
        self.all_down = False

    @property
    def priority(self) -> int:
        return self.section.priority

    @property
    def weight(self) -> int:
        return self.section.weight

    def set_endpoints(self) -> None:
        """One endpoint for each target; those that stay keep their health."""
        earlier = self.endpoints
        self.endpoints = {
            target: earlier.get(target) or Endpoint(self.name, target, Health(self.section.health))
            for place in self.places
            if place.location is not None
            for server in place.location.servers
            for target in server.targets
        }

    def in_turn(self, draw: Draw) -> list[Endpoint]:
        """The targets, each once, in the order of one call."""
        found: dict[Target, Endpoint] = {}
        for place in in_order(self.places, draw):
            for target in place.location.targets(draw) if place.location is not None else ():
                found.setdefault(target, self.endpoints[target])
        return list(found.values())

    def hop(
        self, target: Target, calling: Dialled, called: Dialled, country_code: str, *, protected: bool
    ) -> Hop:
        """The hop to a target, with the numbers as this trunk wants them; a protected one stays as meant."""
        section = self.section
        called_user = called.meant
        if not protected:
            text = formatted(called.number, called.meant, section.called_format, country_code)
            called_user = translated(text, section.called_out)
        text = formatted(calling.number, calling.meant, section.calling_format, country_code)
        calling_user = translated(text, section.calling_out)
        return self._plain(
            target,
            called_user if called_user != called.text else "",
            calling_user if calling_user != calling.text else "",
        )

    def _plain(self, target: Target, called_user: str = "", calling_user: str = "") -> Hop:
        return Hop(
            Address(target.host, target.port),
            target.transport,
            self.name,
            self.credentials,
            called_user,
            calling_user,
            self.section.failover_statuses,
            self.section.trusted_identity,
        )

    def _constant(self) -> Route | None:
        section = self.section
        limited = section.max_calls or section.max_calls_per_s
        changed = section.called_out or section.calling_out
        formats = {section.called_format, section.calling_format}
        if limited or changed or formats != {"dialled"} or len(self.endpoints) != 1:
            return None
        if any(place.lookup_at is not None for place in self.places):
            return None
        return Route(tuple(self._plain(target) for target in self.endpoints))


def _place(section: NextHopSection) -> Place:
    uri = Uri.parse(section.uri)
    location = _fixed(uri)
    return Place(section, uri, location, None if location is not None else 0.0)


def _fixed(uri: Uri) -> Location | None:
    """The location of a URI for which nothing has to be asked; None where the DNS has to say it."""
    procedure = locate(uri, tuple(DEFAULT_PORTS))
    try:
        next(procedure)
    except StopIteration as done:
        location: Location = done.value
        return location
    procedure.close()
    return None
