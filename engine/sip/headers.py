"""What requests and responses share: header rows, each value parsed on first use (RFC 3261 §7.3, §20)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.grammar import MAX_VALUES, TOKEN, clean, is_digits, split_list
from engine.sip.names import LISTS, SPELLINGS, canonical
from engine.sip.uri import KNOWN_MOST, NameAddr, addresses, known_party, party_of, tag_of
from engine.sip.via import Via

MAX_CSEQ = 2**31 - 1
# A control character may stand in a message only as the second half of a quoted pair, CR and LF never.
FORBIDDEN = re.compile(r"(?<!\\)[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\r\n]")
_SPACES = re.compile(r"[ \t]+")

T = TypeVar("T")


class CSeq(NamedTuple):
    """Sequence number (0 to 2**31 - 1) and method."""

    number: int
    method: str


class Once(Generic[T]):
    """A value that is read of a message when first asked for, and an attribute of it from then on.

    What functools.cached_property is, without its lock.
    """

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read
        self._name = read.__name__

    def __get__(self, message: object, owner: type) -> T:
        value = self._read(message)
        setattr(message, self._name, value)
        return value


class Message:
    """What requests and responses share. Treat as immutable.

    `headers` are all rows as (name, value), in order; the names of a received message are canonical. A
    Content-Length among them is never written as it stands. The typed values raise RemoteProtocolError(400)
    when the header is absent or malformed.
    """

    headers: Collection[tuple[str, str]]
    body: bytes

    @Once
    def first(self) -> dict[str, str]:
        """Canonical name → the value of the first row of that name, as it stands in the message."""
        names = SPELLINGS
        return {names.get(name) or canonical(name): value for name, value in reversed([*self.headers])}

    def rows(self, name: str) -> list[str]:
        """The values of all rows of that name as they stand in the message, not split at commas."""
        first = self.first
        if name not in first:
            name = SPELLINGS.get(name) or canonical(name)
            if name not in first:
                return []
        if len(first) == len(self.headers):
            return [first[name]]
        names = SPELLINGS
        return [value for other, value in self.headers if (names.get(other) or canonical(other)) == name]

    def get(self, name: str) -> str | None:
        """The first row of that name, or None; bytes that were not UTF-8 read as U+FFFD."""
        value = self.first.get(name)
        if value is None and SPELLINGS.get(name) != name:
            value = self.first.get(canonical(name))
        return value if value is None or value.isascii() else clean(value)

    def get_all(self, name: str) -> list[str]:
        """All values of that name, split at commas where the grammar allows a list."""
        found = self.rows(name)
        if not found:
            return []
        if canonical(name) not in LISTS:
            return [clean(value) for value in found]
        return [item for value in found for item in split_list(clean(value))]

    @Once
    def call_id(self) -> str:
        """The Call-ID, compared byte by byte."""
        return self._required("Call-ID")

    @Once
    def cseq(self) -> CSeq:
        """Sequence number and method."""
        return self._parsed("CSeq", cseq_of)

    @Once
    def from_(self) -> NameAddr:
        """The From header."""
        return self._party("From")

    @Once
    def from_tag(self) -> str | None:
        """The tag of From, or None."""
        return self._parsed("From", tag_of)

    @Once
    def to(self) -> NameAddr:
        """The To header."""
        return self._party("To")

    @Once
    def to_tag(self) -> str | None:
        """The tag of To, or None."""
        return self._parsed("To", tag_of)

    @Once
    def top_via(self) -> Via:
        """The first Via value."""
        text = self._required("Via")
        if not text or "," in text:
            values = split_list(text)
            if not values:
                raise RemoteProtocolError("empty Via")
            text = values[0]
        return Via.parse(text)

    @property
    def vias(self) -> tuple[Via, ...]:
        """All Via values, the last hop first."""
        return self._list("Via", Via.parse)

    @Once
    def contacts(self) -> tuple[NameAddr, ...]:
        """All Contact values; none for the `*` of a REGISTER."""
        if self.first.get("Contact") == "*" and len(self.rows("Contact")) == 1:
            return ()
        return self._addresses("Contact")

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact, or None."""
        contacts = self.contacts
        return contacts[0] if contacts else None

    @Once
    def routes(self) -> tuple[NameAddr, ...]:
        """The Route values."""
        return self._addresses("Route")

    @Once
    def record_routes(self) -> tuple[NameAddr, ...]:
        """The Record-Route values."""
        return self._addresses("Record-Route")

    @Once
    def requires(self) -> tuple[str, ...]:
        """The option tags of Require, in lower case."""
        return self._list("Require", str.lower)

    def _required(self, name: str) -> str:
        text = self.first.get(name)
        if text is None:
            raise RemoteProtocolError(f"no {name} header")
        return text if text.isascii() else clean(text)

    def _parsed(self, name: str, parse: Callable[[str], T]) -> T:
        text = self.first.get(name)
        if text is None:
            raise RemoteProtocolError(f"no {name} header")
        try:
            return parse(text if text.isascii() else clean(text))
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"{name}: {error}") from None

    def _party(self, name: str) -> NameAddr:
        text = self.first.get(name, "")
        plain = known_party(text) if len(text) <= KNOWN_MOST else None
        return party_of(plain) if plain is not None else self._parsed(name, NameAddr.parse)

    def _addresses(self, name: str) -> tuple[NameAddr, ...]:
        if name not in self.first:
            return ()
        if len(self.first) == len(self.headers):
            return self._parsed(name, addresses)
        return self._list(name, NameAddr.parse)

    def _list(self, name: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        if name not in self.first:
            return ()
        try:
            items = self.get_all(name)
            if len(items) > MAX_VALUES:
                raise RemoteProtocolError(f"more than {MAX_VALUES} values")
            return tuple([parse(item) for item in items])
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"{name}: {error}") from None

    def encode_with_care(self, start: str) -> bytes:
        """The message as sent, under that start line: each value is looked at.

        LocalProtocolError if one could break out of its place.
        """
        lines = [start]
        for name, value in self.headers:
            known = SPELLINGS.get(name)
            if known is None:
                if not TOKEN.fullmatch(name):
                    raise LocalProtocolError(f"{name!r} is not a header name")
                known = canonical(name)
            if known == "Content-Length":
                continue
            if not value.isprintable() and FORBIDDEN.search(value):
                raise LocalProtocolError(f"control character in {name}: {value!r}")
            lines.append(f"{name}: {value}")
        if not start.isprintable() and FORBIDDEN.search(start):
            raise LocalProtocolError(f"control character in {start!r}")
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        try:
            return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body
        except UnicodeEncodeError:
            raise LocalProtocolError("a header is not Unicode text") from None


# All calls begin with the same few.
@lru_cache(maxsize=256)  # peers choose how long the texts are
def cseq_of(value: str) -> CSeq:
    """The CSeq value; RemoteProtocolError(400) when the text is none."""
    parts = _SPACES.split(value)
    if len(parts) != 2 or not is_digits(parts[0]) or not TOKEN.fullmatch(parts[1]):
        raise RemoteProtocolError("malformed")
    number = int(parts[0])
    if number > MAX_CSEQ:
        raise RemoteProtocolError("number above 2**31 - 1")
    return CSeq(number, parts[1])
