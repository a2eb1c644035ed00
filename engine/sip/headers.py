"""What requests and responses share: header rows, each value parsed on first use (RFC 3261 §7.3, §20)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.grammar import TOKEN, is_digits, split_list
from engine.sip.names import LISTS, SPELLINGS, canonical
from engine.sip.uri import NameAddr
from engine.sip.via import Via

MAX_CSEQ = 2**31 - 1
MAX_VALUES = 128
"""Of one header, of those that are read one by one: no path is as long, and strangers would have us read."""
# A control character may stand in a message only as the second half of a quoted pair, CR and LF never.
FORBIDDEN = re.compile(r"(?<!\\)[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\r\n]")
_SPACES = re.compile(r"[ \t]+")

T = TypeVar("T")


class CSeq(NamedTuple):
    """Sequence number (0 to 2**31 - 1) and method."""

    number: int
    method: str


class Message:
    """What requests and responses share. Treat as immutable.

    A Content-Length among the rows is never written as it stands.
    The typed properties raise RemoteProtocolError(400) when the header is absent or malformed.
    """

    __slots__ = ("_headers", "_index", "_lines", "_parsed", "body")

    def __init__(self, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self._headers: Sequence[tuple[str, str]] | None = headers
        self.body = body
        self._lines: list[str] = []
        self._index: dict[str, list[str]] | None = None
        self._parsed: dict[str, Any] = {}

    def adopt(
        self, headers: list[tuple[str, str]] | None, index: dict[str, list[str]], lines: list[str]
    ) -> None:
        """Take rows with canonical names and their index from the parser.

        Without rows they are made of `lines`, plain ones behind a start line, if anybody wants them.
        """
        self._headers = headers
        self._index = index
        self._lines = lines

    @property
    def row_count(self) -> int:
        """Header rows of a received message."""
        return len(self._lines) - 1

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """All rows as (canonical name, value), in order."""
        rows = self._headers
        if rows is None:
            cut = [line.partition(": ") for line in self._lines[1:]]
            rows = self._headers = [(SPELLINGS[name], value.strip(" ")) for name, _, value in cut]
        return rows

    @property
    def index(self) -> Mapping[str, list[str]]:
        """Canonical name → the values of its rows, of a received message."""
        if self._index is None:
            self.rows("Via")
        return self._index or {}

    def rows(self, name: str) -> list[str]:
        """The values of all rows of that name as they stand in the message, not split at commas."""
        index = self._index
        if index is None:
            index = self._index = {}
            for spelling, value in self.headers:
                index.setdefault(canonical(spelling), []).append(value)
        found = index.get(name)
        if found is None and SPELLINGS.get(name) != name:
            found = index.get(canonical(name))
        return found if found is not None else []

    def get(self, name: str) -> str | None:
        """The first row of that name, or None; bytes that were not UTF-8 read as U+FFFD."""
        found = self.rows(name)
        return clean(found[0]) if found else None

    def get_all(self, name: str) -> list[str]:
        """All values of that name, split at commas where the grammar allows a list."""
        found = self.rows(name)
        if not found:
            return []
        if canonical(name) not in LISTS:
            return [clean(value) for value in found]
        return [item for value in found for item in split_list(clean(value))]

    @property
    def call_id(self) -> str:
        """The Call-ID, compared byte by byte."""
        return self._required("Call-ID")

    @property
    def cseq(self) -> CSeq:
        """Sequence number and method."""
        return self._once("CSeq", _parse_cseq)

    @property
    def from_(self) -> NameAddr:
        """The From header."""
        return self._once("From", NameAddr.parse)

    @property
    def to(self) -> NameAddr:
        """The To header."""
        return self._once("To", NameAddr.parse)

    @property
    def top_via(self) -> Via:
        """The first Via value."""
        via: Via | None = self._parsed.get("top Via")
        if via is None:
            text = self._required("Via")
            if not text or "," in text:
                values = split_list(text)
                if not values:
                    raise RemoteProtocolError("empty Via")
                text = values[0]
            via = self._parsed["top Via"] = Via.parse(text)
        return via

    @property
    def vias(self) -> tuple[Via, ...]:
        """All Via values, the last hop first."""
        return self._list("Via", Via.parse)

    @property
    def contacts(self) -> tuple[NameAddr, ...]:
        """All Contact values; none for the `*` of a REGISTER."""
        if self.rows("Contact") == ["*"]:
            return ()
        return self._list("Contact", NameAddr.parse)

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact, or None."""
        contacts = self.contacts
        return contacts[0] if contacts else None

    @property
    def routes(self) -> tuple[NameAddr, ...]:
        """The Route values."""
        return self._list("Route", NameAddr.parse)

    @property
    def record_routes(self) -> tuple[NameAddr, ...]:
        """The Record-Route values."""
        return self._list("Record-Route", NameAddr.parse)

    @property
    def requires(self) -> tuple[str, ...]:
        """The option tags of Require, in lower case."""
        return self._list("Require", str.lower)

    def validate(self) -> None:
        """Parse all that the layers above rely on; RemoteProtocolError(400) when anything is malformed."""
        _ = self.from_, self.to, self.call_id, self.cseq
        index = self._index
        if index is None or "Contact" in index or "Record-Route" in index:
            _ = self.contacts, self.record_routes

    def _required(self, name: str) -> str:
        found = self.rows(name)
        if not found:
            raise RemoteProtocolError(f"no {name} header")
        return clean(found[0])

    def _once(self, name: str, parse: Callable[[str], T]) -> T:
        value: T | None = self._parsed.get(name)
        if value is None:
            found = self.rows(name)
            if not found:
                raise RemoteProtocolError(f"no {name} header")
            text = found[0]
            if not text.isascii():
                text = clean(text)
            try:
                value = self._parsed[name] = parse(text)
            except RemoteProtocolError as error:
                raise RemoteProtocolError(f"{name}: {error}") from None
        return value

    def _list(self, name: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        if not self.rows(name):
            return ()
        values: tuple[T, ...] | None = self._parsed.get("all " + name)
        if values is None:
            try:
                items = self.get_all(name)
                if len(items) > MAX_VALUES:
                    raise RemoteProtocolError(f"more than {MAX_VALUES} values")
                values = self._parsed["all " + name] = tuple(parse(item) for item in items)
            except RemoteProtocolError as error:
                raise RemoteProtocolError(f"{name}: {error}") from None
        return values

    def _encode(self, start: str) -> bytes:
        names = SPELLINGS
        try:
            lines = [start, *[f"{names[name]}: {value}" for name, value in self.headers]]
        except KeyError:
            return self._encode_with_care(start)
        # One look at all the text; what is not plain is looked at row by row.
        text = "".join(lines)
        if not (text.isascii() and text.isprintable()) or "Content-Length: " in text:
            return self._encode_with_care(start)
        body = self.body
        head = "\r\n".join(lines)
        return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def _encode_with_care(self, start: str) -> bytes:
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


def clean(value: str) -> str:
    """Received text without the surrogates that stand for bytes outside UTF-8."""
    if value.isascii():
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


# All calls begin with the same few.
@lru_cache(maxsize=256)  # peers choose how long the texts are
def _parse_cseq(value: str) -> CSeq:
    parts = _SPACES.split(value)
    if len(parts) != 2 or not is_digits(parts[0]) or not TOKEN.fullmatch(parts[1]):
        raise RemoteProtocolError("malformed")
    number = int(parts[0])
    if number > MAX_CSEQ:
        raise RemoteProtocolError("number above 2**31 - 1")
    return CSeq(number, parts[1])
