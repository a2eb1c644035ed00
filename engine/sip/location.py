"""Where a request goes (RFC 3263): a procedure that yields DNS questions and ends with servers.

Nothing here asks or waits: `locate` is a generator, driven by whoever has the answers. `maddr` is not obeyed,
as everywhere here: it would let anyone aim our requests at a third party.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Final, Literal, Protocol, TypeVar

import msgspec

from engine.sip.flow import DEFAULT_PORTS
from engine.sip.uri import Uri, is_address

MAX_RECORDS: Final = 16
"""Of each kind, for one question; what a zone has beyond is not looked at."""
MAX_TARGETS: Final = 16

TRANSPORTS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {  # scheme and transport parameter → transport (RFC 3261 §26.2.2, RFC 7118 §5.2)
        ("sip", "udp"): "udp",
        ("sip", "tcp"): "tcp",
        ("sip", "tls"): "tls",
        ("sip", "ws"): "ws",
        ("sip", "wss"): "wss",
        ("sips", "tcp"): "tls",
        ("sips", "tls"): "tls",
        ("sips", "ws"): "wss",
        ("sips", "wss"): "wss",
    }
)
SERVICES: Final[Mapping[str, str]] = MappingProxyType(
    {  # NAPTR services (RFC 3263 §4.1, RFC 7118 §8.5)
        "SIPS+D2T": "tls",
        "SIP+D2T": "tcp",
        "SIP+D2U": "udp",
        "SIPS+D2W": "wss",
        "SIP+D2W": "ws",
    }
)
SRV_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"tls": "_sips._tcp.", "tcp": "_sip._tcp.", "udp": "_sip._udp."}  # RFC 3263 §4.1
)
_SECURE: Final = frozenset({"tls", "wss"})
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NAME_MAX: Final = 253

Family = Literal["A", "AAAA"]
IPV4: Final[tuple[Family, ...]] = ("A",)

Draw = Callable[[int], int]
"""A random whole number from 0 to the argument, both included."""


class Target(msgspec.Struct, frozen=True):
    """An address to send to: nothing of it needs a look-up."""

    transport: str
    host: str
    port: int


class Server(msgspec.Struct, frozen=True):
    """One server with all its addresses: the lowest priority first, within it by weight (RFC 2782)."""

    targets: tuple[Target, ...]
    priority: int = 0
    weight: int = 0


class Location(msgspec.Struct, frozen=True):
    """What a procedure found; without servers `reason` says why not."""

    servers: tuple[Server, ...] = ()
    ttl_s: float = inf
    """So long the answer may be used."""
    reason: str = ""
    """Slug: transport, name, no_address, dns (nobody answered)."""

    def targets(self, draw: Draw) -> tuple[Target, ...]:
        """The addresses in the order in which this request tries them."""
        return tuple(target for server in in_order(self.servers, draw) for target in server.targets)[
            :MAX_TARGETS
        ]


class Query(msgspec.Struct, frozen=True):
    """One question to the DNS; the name is absolute and without its last dot."""

    kind: Literal["NAPTR", "SRV", "A", "AAAA"]
    name: str


class Naptr(msgspec.Struct, frozen=True):
    """RFC 3403 §4.1."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(msgspec.Struct, frozen=True):
    """RFC 2782; a target of "" (a dot in the zone) says that there is no such service."""

    priority: int
    weight: int
    port: int
    target: str


class Answer(msgspec.Struct, frozen=True):
    """What the DNS said; only the field of the question's kind has anything."""

    naptr: tuple[Naptr, ...] = ()
    srv: tuple[Srv, ...] = ()
    addresses: tuple[str, ...] = ()
    ttl_s: float = 0.0
    failed: bool = False
    """Nobody answered, or a server said that it cannot."""


Procedure = Generator[tuple[Query, ...], Mapping[Query, Answer], Location]
"""Yields questions that may be asked at the same time, is sent their answers, returns the location."""


class _Weighed(Protocol):
    @property
    def priority(self) -> int: ...
    @property
    def weight(self) -> int: ...


W = TypeVar("W", bound=_Weighed)


def in_order(items: Iterable[W], draw: Draw) -> list[W]:
    """By priority, and by chance in proportion to weight within one (RFC 2782, Weight)."""
    rest = sorted(items, key=lambda item: (item.priority, item.weight > 0))
    if len(rest) < 2:
        return rest
    ordered: list[W] = []
    while rest:
        same = [item for item in rest if item.priority == rest[0].priority]
        chance = draw(sum(item.weight for item in same))
        for item in same:
            chance -= item.weight
            if chance <= 0:
                break
        ordered.append(item)
        rest.remove(item)
    return ordered


def locate(uri: Uri, transports: Sequence[str], families: Collection[Family] = IPV4) -> Procedure:
    """Find the servers of a sip or sips URI (RFC 3263 §4).

    `transports` are those that we speak, the dearest first; `families` the addresses that we can send to.
    """
    search = _Search(uri, transports, families)
    return (yield from search.run())


class _Search:
    """One run of the procedure, with the shortest lifetime of what it was told."""

    def __init__(self, uri: Uri, transports: Sequence[str], families: Collection[Family]) -> None:
        self._uri = uri
        self._host = uri.host.rstrip(".").lower()
        self._secure = uri.scheme == "sips"
        self._transports = tuple(each for each in transports if not self._secure or each in _SECURE)
        self._families = families
        self._ttl_s = inf
        self._failed = False
        self._refused = False

    def run(self) -> Procedure:
        uri = self._uri
        if uri.scheme not in ("sip", "sips"):
            return Location(reason="transport")
        named = uri.params.get("transport")
        transport = self._named(named) if named else None
        if (named and transport is None) or not self._transports:
            return Location(reason="transport")
        if is_address(self._host):  # §4.1: numeric, so nothing has to be looked up
            transport = transport or self._default()
            target = Target(transport, self._host, uri.port or DEFAULT_PORTS[transport])
            return Location((Server((target,)),))
        if not is_name(self._host):
            return Location(reason="name")
        if uri.port is not None:  # §4.1, §4.2: an explicit port leaves addresses only
            transport = transport or self._default()
            return (yield from self._addresses(transport, uri.port))
        if transport is not None:
            services = [(transport, SRV_NAMES[transport] + self._host)] if transport in SRV_NAMES else []
        else:
            services = yield from self._services()
        servers = yield from self._srv(services)
        if servers or self._refused:
            return self._found(servers)
        transport = transport or self._default()
        return (yield from self._addresses(transport, DEFAULT_PORTS[transport]))

    def _named(self, parameter: str) -> str | None:
        transport = TRANSPORTS.get((self._uri.scheme, parameter.lower()))
        return transport if transport in self._transports else None

    def _default(self) -> str:
        """§4.1: UDP for sip, TLS over TCP for sips."""
        wanted = "tls" if self._secure else "udp"
        return wanted if wanted in self._transports else self._transports[0]

    def _services(self) -> Generator[tuple[Query, ...], Mapping[Query, Answer], list[tuple[str, str]]]:
        """Transports and their SRV names: those of the NAPTR records, else all that we speak (§4.1)."""
        found = yield from self._ask(Query("NAPTR", self._host))
        usable = [
            (record, transport)
            for record in found[0].naptr[:MAX_RECORDS]
            if record.flags.lower() == "s"
            and (transport := SERVICES.get(record.service.upper())) in self._transports
            and transport is not None
            and is_name(record.replacement)
        ]
        if usable:
            order = min(record.order for record, _ in usable)  # RFC 3403 §4.1: no other order is looked at
            best = [each for each in usable if each[0].order == order]
            best.sort(key=lambda each: each[0].preference)
            return [(transport, record.replacement) for record, transport in best]
        return [(each, SRV_NAMES[each] + self._host) for each in self._transports if each in SRV_NAMES]

    def _srv(
        self, services: Sequence[tuple[str, str]]
    ) -> Generator[tuple[Query, ...], Mapping[Query, Answer], list[Server]]:
        """The servers of all services, in the order of the services (§4.2, §4.3)."""
        services = [(transport, name) for transport, name in services if is_name(name)]
        if not services:
            return []
        answers = yield from self._ask(*(Query("SRV", name) for _, name in services))
        records: list[tuple[str, int, Srv]] = []
        for place, ((transport, _), answer) in enumerate(zip(services, answers, strict=True)):
            for record in answer.srv[:MAX_RECORDS]:
                if record.target == "":  # RFC 2782: decidedly not available
                    self._refused = True
                elif 0 < record.port < 65536 and (is_name(record.target) or is_address(record.target)):
                    # services one after the other, whatever priorities they use
                    records.append((transport, place << 16 | record.priority, record))
        targets = dict.fromkeys(record.target for _, _, record in records)
        hosts = yield from self._hosts([each for each in targets if not is_address(each)])
        hosts |= {each: (each,) for each in targets if is_address(each)}
        return [
            Server(
                tuple(Target(transport, address, record.port) for address in addresses),
                priority,
                record.weight,
            )
            for transport, priority, record in records
            if (addresses := hosts.get(record.target))
        ]

    def _addresses(self, transport: str, port: int) -> Procedure:
        hosts = yield from self._hosts([self._host])
        targets = tuple(Target(transport, address, port) for address in hosts[self._host])
        return self._found([Server(targets)] if targets else [])

    def _hosts(
        self, names: Sequence[str]
    ) -> Generator[tuple[Query, ...], Mapping[Query, Answer], dict[str, tuple[str, ...]]]:
        names = names[:MAX_RECORDS]
        questions = [Query(family, name) for name in names for family in self._families]
        if not questions:
            return dict.fromkeys(names, ())
        answers = yield from self._ask(*questions)
        found: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
        for question, answer in zip(questions, answers, strict=True):
            addresses = (each for each in answer.addresses[:MAX_RECORDS] if is_address(each))
            found[question.name] += tuple(addresses)
        return found

    def _ask(self, *questions: Query) -> Generator[tuple[Query, ...], Mapping[Query, Answer], list[Answer]]:
        given = yield questions
        answers = [given[question] for question in questions]
        self._ttl_s = min(self._ttl_s, *(answer.ttl_s for answer in answers))
        self._failed = self._failed or any(answer.failed for answer in answers)
        return answers

    def _found(self, servers: list[Server]) -> Location:
        if not servers:
            return Location(ttl_s=self._ttl_s, reason="dns" if self._failed else "no_address")
        return Location(tuple(servers), self._ttl_s)


def is_name(text: str) -> bool:
    """Whether the DNS may be asked for it: labels of RFC 1123 and RFC 2782, the last not all digits.

    So what only looks like an address (127.1, 0x7f.1) is never one.
    """
    labels = text.rstrip(".").split(".")
    return (
        len(text) <= _NAME_MAX
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
        and not labels[-1].lower().startswith("0x")
    )
