"""A session description as frozen values: parsed tolerantly, written in the order RFC 8866 §5 asks for.

Text is decoded as UTF-8 with surrogate escapes, so that every byte a peer sent goes out again unchanged.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from engine.sdp.addresses import OwnAddresses, check_address, is_unspecified, literal
from engine.sdp.errors import SdpError

MAX_BYTES = 32_768
MAX_LINES = 1_000
MAX_LINE_CHARACTERS = 4_096
MAX_MEDIA = 32
MAX_FORMATS = 64
MAX_CONNECTIONS = 8
"""Of one m= section: more than one is for layered multicast, which is refused anyway."""

_SESSION_ORDER = "vosiuepcbtrzka"
"""Types a session section may hold, in the order they are written (RFC 8866 §5)."""
_MEDIA_ORDER = "micbka"


class Direction(enum.Enum):
    """Seen from the one who wrote the description (RFC 3264 §5.1)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE


_DIRECTIONS = {direction.value: direction for direction in Direction}


class Line(NamedTuple):
    """`type=value`, without its line end."""

    type: str
    value: str


class RtpMap(NamedTuple):
    """a=rtpmap: what a payload type stands for."""

    encoding: str
    rate_hz: int
    channels: int = 1


@dataclass(frozen=True, slots=True)
class Origin:
    """o= (RFC 8866 §5.2). Whoever owns it raises `sess_version` with every change of the description."""

    username: str
    sess_id: int
    sess_version: int
    address: str

    @property
    def line(self) -> str:
        return f"{self.username} {self.sess_id} {self.sess_version} IN {_family(self.address)} {self.address}"


@dataclass(frozen=True, slots=True)
class Connection:
    """c= (RFC 8866 §5.7): an IP address or a host name; never multicast, broadcast or link-local."""

    address: str
    family: str = "IP4"

    @property
    def unspecified(self) -> bool:
        """0.0.0.0 or ::, the old way to put a call on hold (RFC 3264 §8.4)."""
        return is_unspecified(self.address)

    @property
    def is_literal(self) -> bool:
        """An address, not a host name."""
        return literal(self.address) is not None

    @property
    def line(self) -> str:
        return f"IN {self.family} {self.address}"


class _Attributes:
    """Typed reading of a section's a= lines; the lines themselves stay as they came."""

    __slots__ = ()
    attributes: tuple[str, ...]

    def values(self, name: str) -> Iterator[str]:
        """Values of every `a=name:value`, in order."""
        prefix = name + ":"
        return (text[len(prefix) :] for text in self.attributes if text.startswith(prefix))

    def first(self, name: str) -> str | None:
        return next(self.values(name), None)

    @property
    def own_direction(self) -> Direction | None:
        return next((_DIRECTIONS[text] for text in self.attributes if text in _DIRECTIONS), None)


@dataclass(frozen=True, slots=True)
class Media(_Attributes):
    """One m= section."""

    kind: str
    port: int
    proto: str
    formats: tuple[str, ...]
    port_count: int = 1
    connections: tuple[Connection, ...] = ()
    attributes: tuple[str, ...] = ()
    """Values of a=, in order, unknown ones included."""
    others: tuple[Line, ...] = ()
    """i=, b= and k= lines."""

    @property
    def rtpmaps(self) -> dict[int, RtpMap]:
        """Payload type → encoding, for the well-formed a=rtpmap lines."""
        maps: dict[int, RtpMap] = {}
        for value in self.values("rtpmap"):
            number, _, encoding = value.strip().partition(" ")
            name, _, rest = encoding.strip().partition("/")
            rate, _, channels = rest.partition("/")
            if name and _is_number(number, 127) and _is_number(rate, 1_000_000) and int(rate):
                count = int(channels) if _is_number(channels, 255) else 1
                maps.setdefault(int(number), RtpMap(name, int(rate), count))
        return maps

    @property
    def ptime_ms(self) -> int | None:
        value = (self.first("ptime") or "").strip()
        return int(value) if _is_number(value, 200) and int(value) else None

    @property
    def rtcp(self) -> tuple[int, str | None] | None:
        """Port and, where given, address of a=rtcp (RFC 3605)."""
        words = (self.first("rtcp") or "").split(" ")
        if not _is_number(words[0], 65_535):
            return None
        return int(words[0]), words[3] if len(words) == 4 and words[1] == "IN" else None

    def lines(self) -> Iterator[Line]:
        count = f"/{self.port_count}" if self.port_count != 1 else ""
        yield Line("m", f"{self.kind} {self.port}{count} {self.proto} {' '.join(self.formats)}")
        own = [Line("c", connection.line) for connection in self.connections]
        own += [Line("a", value) for value in self.attributes]
        yield from _ordered([*self.others, *own], _MEDIA_ORDER)


@dataclass(frozen=True, slots=True)
class SessionDescription(_Attributes):
    origin: Origin
    name: str = "-"
    connection: Connection | None = None
    media: tuple[Media, ...] = ()
    attributes: tuple[str, ...] = ()
    """Values of the session's a=, in order."""
    others: tuple[Line, ...] = (Line("t", "0 0"),)
    """Every session line that is not v, o, s, c or a, in order."""

    def connection_of(self, media: Media) -> Connection | None:
        return media.connections[0] if media.connections else self.connection

    def direction_of(self, media: Media) -> Direction:
        return media.own_direction or self.own_direction or Direction.SENDRECV

    def to_bytes(self) -> bytes:
        own = [Line("v", "0"), Line("o", self.origin.line), Line("s", self.name)]
        if self.connection is not None:
            own.append(Line("c", self.connection.line))
        own += [Line("a", value) for value in self.attributes]
        lines = list(_ordered([*own, *self.others], _SESSION_ORDER))
        for media in self.media:
            lines += media.lines()
        return "".join(f"{line.type}={line.value}\r\n" for line in lines).encode("utf-8", "surrogateescape")


@lru_cache(maxsize=32)  # one description is looked at several times on its way
def parse(body: bytes) -> SessionDescription:
    """Read a description; accepts bare LF, blank lines, any order within a section, no s= or t=.

    Raises `SdpError` for what cannot be understood and for addresses media must never be sent to.
    """
    sections = _sections(body)
    origin: Origin | None = None
    name = "-"
    connection: Connection | None = None
    attributes: list[str] = []
    others: list[Line] = []
    for line in sections[0]:
        match line.type:
            case "v":
                if line.value.strip() != "0":
                    raise SdpError("version", line.value)
            case "o":
                origin = origin or _origin(line.value)
            case "s":
                name = line.value
            case "c":
                connection = connection or _connection(line.value)
            case "a":
                attributes.append(line.value)
            case _:
                others.append(line)
    if origin is None:
        raise SdpError("origin", "missing")
    media = tuple(_media(lines) for lines in sections[1:])
    return SessionDescription(origin, name, connection, media, tuple(attributes), tuple(others))


def check_targets(sdp: SessionDescription, own: OwnAddresses, *, hold: bool) -> None:
    """Raise `SdpError` where a stream of `sdp` would end at ourselves, or nowhere.

    0.0.0.0 and :: are hold of the old kind (RFC 3264 §8.4): with `hold` they may come at any time, otherwise
    only where the direction says that nothing is to be sent there.
    """
    for media in sdp.media:
        connection = sdp.connection_of(media)
        if not media.port or connection is None:
            continue
        if connection.unspecified and not hold and sdp.direction_of(media).receives:
            raise SdpError("address", connection.address)
        rtcp_port, rtcp_host = media.rtcp or (media.port + 1, None)
        own.check(connection.address, media.port, rtcp_port)
        if rtcp_host is not None:
            own.check(rtcp_host, rtcp_port)


def _sections(body: bytes) -> list[list[Line]]:
    """Lines of the session, then of each m= section."""
    if len(body) > MAX_BYTES:
        raise SdpError("too_large", str(len(body)))
    if b"\0" in body:
        raise SdpError("syntax", "NUL")
    if body.count(b"\n") > MAX_LINES:
        raise SdpError("too_large", "lines")
    sections: list[list[Line]] = [[]]
    for raw in body.decode("utf-8", "surrogateescape").split("\n"):
        text = raw.removesuffix("\r")
        if not text:
            continue
        if text[1:2] != "=" or "\r" in text:
            raise SdpError("syntax", text[:80])
        if len(text) > MAX_LINE_CHARACTERS:
            raise SdpError("too_large", text[:80])
        line = Line(text[0], text[2:])
        if line.type == "m":
            sections.append([])
            if len(sections) > MAX_MEDIA + 1:
                raise SdpError("too_large", "m= lines")
        elif line.type not in (_SESSION_ORDER if len(sections) == 1 else _MEDIA_ORDER):
            raise SdpError("unknown_type", text[:80])  # RFC 8866 §5: not to be guessed at
        sections[-1].append(line)
    if not sections[0] or sections[0][0].type != "v":
        raise SdpError("version", "missing")
    return sections


def _origin(value: str) -> Origin:
    words = value.split()
    if len(words) != 6 or not (_is_number(words[1]) and _is_number(words[2])):
        raise SdpError("origin", value)
    return Origin(words[0], int(words[1]), int(words[2]), words[5])


def _connection(value: str) -> Connection:
    words = value.split()
    if len(words) != 3 or words[0] != "IN" or words[1] not in ("IP4", "IP6"):
        raise SdpError("connection", value)
    address = words[2].partition("/")[0]  # a TTL belongs to multicast, which is refused below
    if not address:
        raise SdpError("connection", value)
    check_address(address)
    return Connection(address, words[1])


def _media(lines: Sequence[Line]) -> Media:
    words = lines[0].value.split()
    if len(words) < 4:
        raise SdpError("media", lines[0].value)
    port, slash, count = words[1].partition("/")
    if not _is_number(port, 65_535) or (slash and not (_is_number(count, 255) and int(count))):
        raise SdpError("media", lines[0].value)
    if len(words) > 3 + MAX_FORMATS or sum(line.type == "c" for line in lines) > MAX_CONNECTIONS:
        raise SdpError("too_large", lines[0].value[:80])
    media = Media(
        kind=words[0],
        port=int(port),
        proto=words[2],
        formats=tuple(words[3:]),
        port_count=int(count) if slash else 1,
        connections=tuple(_connection(line.value) for line in lines if line.type == "c"),
        attributes=tuple(line.value for line in lines if line.type == "a"),
        others=tuple(line for line in lines if line.type in "ibk"),
    )
    if media.rtcp and media.rtcp[1]:
        check_address(media.rtcp[1])
    return media


def _ordered(lines: list[Line], order: str) -> list[Line]:
    return sorted(lines, key=lambda line: order.index(line.type))


def _family(address: str) -> str:
    return "IP6" if ":" in address else "IP4"


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_number(text: str, limit: int | None = None) -> bool:
    """ASCII digits, short enough for any id in use, and at most `limit`."""
    return len(text) <= 32 and _digits(text) and (limit is None or int(text) <= limit)
