"""Requests and responses: an index of header rows, each value parsed on first use (RFC 3261 §7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.grammar import TOKEN, is_digits, split_list
from engine.sip.names import LISTS, SINGLE, SPELLINGS, canonical
from engine.sip.status import reason_phrase
from engine.sip.uri import NameAddr, Uri
from engine.sip.via import Via

MAX_HEAD_BYTES = 24 * 1024
MAX_BODY_BYTES = 40 * 1024
MAX_ROWS = 256
MAX_CSEQ = 2**31 - 1
DEFAULT_MAX_FORWARDS = 70

_MANDATORY = ("Via", "From", "To", "Call-ID", "CSeq")
# Responses to these that may create a dialog carry the request's Record-Route (RFC 3261 §12.1.1, RFC 6665).
_DIALOG_CREATING = ("INVITE", "SUBSCRIBE", "REFER", "NOTIFY")
_FOLD = re.compile(r"[ \t]*\r\n[ \t]+")
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
# A control character may stand in a message only as the second half of a quoted pair, CR and LF never.
_FORBIDDEN = re.compile(r"(?<!\\)[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\r\n]")
_SPACES = re.compile(r"[ \t]+")

T = TypeVar("T")


class CSeq(NamedTuple):
    """Sequence number (0 to 2**31 - 1) and method."""

    number: int
    method: str


class Message:
    """What requests and responses share. Treat as immutable.

    `headers` are (canonical or given name, value) rows in order, without Content-Length when made here.
    The typed properties raise RemoteProtocolError(400) when the header is absent or malformed.
    """

    __slots__ = ("_index", "_parsed", "body", "headers")

    def __init__(self, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.headers = headers
        self.body = body
        self._index: dict[str, list[str]] | None = None
        self._parsed: dict[str, Any] = {}

    def rows(self, name: str) -> list[str]:
        """The values of all rows of that name as they stand in the message, not split at commas."""
        index = self._index
        if index is None:
            index = self._index = {}
            for spelling, value in self.headers:
                index.setdefault(canonical(spelling), []).append(value)
        found = index.get(name)
        return found if found is not None else index.get(canonical(name), [])

    def get(self, name: str) -> str | None:
        """The first row of that name, or None; bytes that were not UTF-8 read as U+FFFD."""
        found = self.rows(name)
        return _clean(found[0]) if found else None

    def get_all(self, name: str) -> list[str]:
        """All values of that name, split at commas where the grammar allows a list."""
        found = self.rows(name)
        if not found:
            return []
        if SPELLINGS.get(name, name) not in LISTS and canonical(name) not in LISTS:
            return [_clean(value) for value in found]
        return [item for value in found for item in split_list(_clean(value))]

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
            values = split_list(self._required("Via"))
            if not values:
                raise RemoteProtocolError("empty Via")
            via = self._parsed["top Via"] = Via.parse(values[0])
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

    def supports(self, option: str) -> bool:
        """Whether the peer names the option tag in Supported or Require."""
        option = option.lower()
        return option in self._list("Supported", str.lower) or option in self.requires

    def validate(self) -> None:
        """Parse all that the layers above rely on; RemoteProtocolError(400) when anything is malformed."""
        _ = self.top_via, self.from_, self.to, self.call_id, self.cseq, self.contacts, self.record_routes

    def _required(self, name: str) -> str:
        found = self.rows(name)
        if not found:
            raise RemoteProtocolError(f"no {name} header")
        return _clean(found[0])

    def _once(self, name: str, parse: Callable[[str], T]) -> T:
        value: T | None = self._parsed.get(name)
        if value is None:
            text = self._required(name)
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
                values = self._parsed["all " + name] = tuple(parse(item) for item in self.get_all(name))
            except RemoteProtocolError as error:
                raise RemoteProtocolError(f"{name}: {error}") from None
        return values

    def _encode(self, start: str) -> bytes:
        lines = [start]
        for name, value in self.headers:
            if name not in SPELLINGS and not TOKEN.fullmatch(name):
                raise LocalProtocolError(f"{name!r} is not a header name")
            if not value.isprintable() and _FORBIDDEN.search(value):
                raise LocalProtocolError(f"control character in {name}: {value!r}")
            lines.append(f"{name}: {value}")
        if not start.isprintable() and _FORBIDDEN.search(start):
            raise LocalProtocolError(f"control character in {start!r}")
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        try:
            return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body
        except UnicodeEncodeError:
            raise LocalProtocolError("a header is not Unicode text") from None


class Request(Message):
    """A request; `uri` may be given as text, which is then written unchanged and parsed on first use."""

    __slots__ = ("_uri", "method")

    def __init__(
        self, method: str, uri: Uri | str, headers: Sequence[tuple[str, str]], body: bytes = b""
    ) -> None:
        super().__init__([row for row in headers if row[0] != "Content-Length"], body)
        self.method = method
        self._uri = uri

    @property
    def uri(self) -> Uri:
        """The Request-URI."""
        uri = self._uri
        if isinstance(uri, str):
            uri = self._uri = Uri.parse(_clean(uri))
        return uri

    @property
    def request_uri(self) -> Uri | str:
        """The Request-URI as given or received, for a message that repeats it."""
        return self._uri

    @property
    def max_forwards(self) -> int:
        """Max-Forwards, 0 to 255; 70 when absent (RFC 3261 §16.6)."""
        value = self.get("Max-Forwards")
        if value is None:
            return DEFAULT_MAX_FORWARDS
        if not is_digits(value, 3) or int(value) > 255:
            raise RemoteProtocolError("Max-Forwards is not 0 to 255")
        return int(value)

    def validate(self) -> None:
        """Parse all that the layers above rely on; RemoteProtocolError(400) when anything is malformed."""
        super().validate()
        _ = self.max_forwards, self.routes
        if self.uri.headers:
            raise RemoteProtocolError("headers in the Request-URI")

    def below(self, via: str) -> Request:
        """A copy with one more Via on top."""
        return Request(self.method, self._uri, [("Via", via), *self.headers], self.body)

    def stamp(self, host: str, port: int) -> None:
        """Note the source in the top Via, once, on reception (RFC 3261 §18.2.1, RFC 3581 §4)."""
        via = self.top_via
        stamped = via.stamped(host, port)
        if stamped is via:
            return
        rows = self.rows("Via")
        rest = split_list(rows[0])[1:]
        self._parsed.pop("all Via", None)
        self._parsed["top Via"] = stamped
        rows[0] = ", ".join((str(stamped), *rest))
        headers = list(self.headers)
        place = next(place for place, (name, _) in enumerate(headers) if canonical(name) == "Via")
        headers[place] = ("Via", rows[0])
        self.headers = headers

    def to_bytes(self) -> bytes:
        """The message as sent; LocalProtocolError if a value could break out of its place."""
        if not TOKEN.fullmatch(self.method):
            raise LocalProtocolError(f"{self.method!r} is not a method")
        return self._encode(f"{self.method} {self._uri} SIP/2.0")

    def __repr__(self) -> str:
        return f"<Request {self.method}>"


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(
        self, status: int, reason: str, headers: Sequence[tuple[str, str]], body: bytes = b""
    ) -> None:
        super().__init__([row for row in headers if row[0] != "Content-Length"], body)
        self.status = status
        self.reason = reason

    def to_bytes(self) -> bytes:
        """The message as sent; LocalProtocolError if a value could break out of its place."""
        if not 100 <= self.status <= 699:
            raise LocalProtocolError(f"{self.status!r} is not a status")
        return self._encode(f"SIP/2.0 {self.status} {self.reason}")

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"


def response_to(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """A response with what RFC 3261 §8.2.6.2 copies from the request, followed by `headers`.

    `to_tag` is added unless the request's To has a tag already; Record-Route is copied where the response
    may create a dialog, Timestamp into a 100.
    """
    if to_tag is not None and not TOKEN.fullmatch(to_tag):
        raise LocalProtocolError(f"{to_tag!r} is not a tag")
    copied = [("Via", value) for value in request.rows("Via")]
    if 100 < status < 300 and request.method in _DIALOG_CREATING:
        copied += [("Record-Route", value) for value in request.rows("Record-Route")]
    copied += [("From", value) for value in request.rows("From")[:1]]
    for value in request.rows("To")[:1]:
        tagged = to_tag is None or _has_tag(request)
        copied.append(("To", value if tagged else f"{value};tag={to_tag}"))
    copied += [("Call-ID", value) for value in request.rows("Call-ID")[:1]]
    copied += [("CSeq", value) for value in request.rows("CSeq")[:1]]
    if status == 100:
        copied += [("Timestamp", value) for value in request.rows("Timestamp")]
    copied += headers
    return Response(status, reason_phrase(status) if reason is None else reason, copied, body)


def _has_tag(request: Request) -> bool:
    try:
        return request.to.tag is not None
    except RemoteProtocolError:
        # A To that cannot be parsed is copied as it is; nobody could find a tag in it.
        return True


def _clean(value: str) -> str:
    if value.isascii():
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _parse_cseq(value: str) -> CSeq:
    parts = _SPACES.split(value)
    if len(parts) != 2 or not is_digits(parts[0]) or not TOKEN.fullmatch(parts[1]):
        raise RemoteProtocolError("malformed")
    number = int(parts[0])
    if number > MAX_CSEQ:
        raise RemoteProtocolError("number above 2**31 - 1")
    return CSeq(number, parts[1])


def parse(data: bytes) -> Request | Response:
    """Parse one datagram, or one framed message of a stream (RFC 3261 §7, §18.3).

    A body longer than Content-Length is cut. RemoteProtocolError carries the request when it can be
    answered: a request line and a top Via could be read, and it is not an ACK.
    """
    begin = 0
    while data.startswith(b"\r\n", begin):
        begin += 2
    end = data.find(b"\r\n\r\n", begin)
    problem: RemoteProtocolError | None = None
    if end < 0:
        problem = RemoteProtocolError("the header section does not end")
        end = len(data)
    body = data[end + 4 :]
    if end - begin > MAX_HEAD_BYTES:
        problem = RemoteProtocolError(f"header section above {MAX_HEAD_BYTES} bytes", 513)
        end = begin + MAX_HEAD_BYTES
    head = data[begin:end].decode("utf-8", "surrogateescape")
    if "\r\n " in head or "\r\n\t" in head:
        head = _FOLD.sub(" ", head)
    lines = head.split("\r\n")
    if len(lines) > MAX_ROWS:
        problem = problem or RemoteProtocolError(f"more than {MAX_ROWS} header rows", 513)
        del lines[MAX_ROWS:]
    start = lines[0]
    message: Request | Response
    if start[:4].upper() == "SIP/":
        message = _status_line(start)
    else:
        message, error = _request_line(start)
        problem = error or problem
    error = _index(message, lines) or _check_body(message, body)
    problem = problem or error
    if problem is None:
        return message
    if isinstance(message, Request) and message.method != "ACK" and _is_answerable(message):
        problem.request = message
    raise problem


def _status_line(start: str) -> Response:
    version, _, rest = start.partition(" ")
    status, _, reason = rest.partition(" ")
    if version.upper() != "SIP/2.0" or not is_digits(status, 3) or not 100 <= int(status) <= 699:
        raise RemoteProtocolError("malformed status line")
    if not reason.isprintable() and _FORBIDDEN.search(reason):
        raise RemoteProtocolError("control character in the reason phrase")
    return Response(int(status), _clean(reason), ())


def _request_line(start: str) -> tuple[Request, RemoteProtocolError | None]:
    parts = start.split(" ")
    if len(parts) == 3 and parts[2] == "SIP/2.0" and TOKEN.fullmatch(parts[0]) and start.isascii():
        if not start.isprintable():
            raise RemoteProtocolError("control character in the request line")
        return Request(parts[0], parts[1], ()), None
    words = start.split()
    if len(words) < 2 or not _VERSION.fullmatch(words[-1]) or not TOKEN.fullmatch(words[0]):
        raise RemoteProtocolError("neither a request nor a response")
    request = Request(words[0], " ".join(words[1:-1]), ())
    if words[-1].upper() != "SIP/2.0":
        return request, RemoteProtocolError("only SIP/2.0 is spoken here", 505)
    if len(parts) == 3 and start.isprintable():
        return request, None
    return request, RemoteProtocolError("malformed request line")


def _index(message: Request | Response, lines: list[str]) -> RemoteProtocolError | None:
    """Index all header rows, also behind a bad one: an answer needs as many as can be read."""
    problem: RemoteProtocolError | None = None
    headers: list[tuple[str, str]] = []
    index: dict[str, list[str]] = {}
    for line in lines[1:]:
        spelling, colon, value = line.partition(":")
        name = SPELLINGS.get(spelling)
        value = value.strip(" \t")
        if name is None:
            try:
                name = canonical(spelling)
            except RemoteProtocolError as error:
                problem = problem or error
                continue
        if not colon or (not value.isprintable() and _FORBIDDEN.search(value)):
            problem = problem or RemoteProtocolError(f"malformed {name} header")
            continue
        headers.append((name, value))
        found = index.get(name)
        if found is None:
            index[name] = [value]
        else:
            found.append(value)
    message.headers = headers
    message._index = index
    for name in _MANDATORY:
        if name not in index:
            return problem or RemoteProtocolError(f"no {name} header")
    if len(index) != len(headers):
        for name in SINGLE:
            if len(index.get(name, ())) > 1:
                return problem or RemoteProtocolError(f"more than one {name} header")
    if problem is None:
        try:
            method = message.cseq.method
        except RemoteProtocolError as error:
            return error
        if isinstance(message, Request) and method != message.method:
            return RemoteProtocolError("CSeq names another method")
    return problem


def _check_body(message: Request | Response, body: bytes) -> RemoteProtocolError | None:
    message.body = body
    stated = message.rows("Content-Length")
    if stated:
        if not is_digits(stated[0]):
            return RemoteProtocolError("malformed Content-Length")
        length = int(stated[0])
        if length > len(body):
            return RemoteProtocolError(f"{len(body)} bytes of body, Content-Length says {length}")
        message.body = body[:length]
    if len(message.body) > MAX_BODY_BYTES:
        return RemoteProtocolError(f"body above {MAX_BODY_BYTES} bytes", 413)
    return None


def _is_answerable(request: Request) -> bool:
    try:
        return request.top_via is not None
    except RemoteProtocolError:
        return False
