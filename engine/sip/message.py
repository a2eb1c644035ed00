"""Requests and responses: parsed from the wire, written to it (RFC 3261 §7, §8.2.6)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from itertools import repeat
from typing import Final

import msgspec

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.grammar import TOKEN, clean, is_digits, split_list
from engine.sip.headers import FORBIDDEN, Message, Once, cseq_of
from engine.sip.names import MANDATORY, MAX_PLAIN_ROWS, SINGLE, SPELLINGS, canonical, layout_of
from engine.sip.status import REASONS, reason_phrase
from engine.sip.uri import KNOWN_MOST, PLAIN_PARTY, Uri, known_addresses, known_party, known_uri
from engine.sip.via import Via, with_source

MAX_HEAD_BYTES = 24 * 1024
MAX_BODY_BYTES = 40 * 1024
MAX_ROWS = 256
MAX_PLAIN_HEAD_BYTES = 8 * 1024
DEFAULT_MAX_FORWARDS = 70

# Responses to these that may create a dialog carry the request's Record-Route (RFC 3261 §12.1.1, RFC 6665).
_DIALOG_CREATING = ("INVITE", "SUBSCRIBE", "REFER", "NOTIFY")
# … and whatever the answer is, it repeats these (RFC 3261 §8.2.6.2).
_COPIED: tuple[str, ...] = MANDATORY
_COPIED_INTO_DIALOG = ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq")
_COPIED_BY_TRYING = (*_COPIED, "Timestamp")
_LISTED = ("Via", "Record-Route", "Timestamp")
_FOLD = re.compile(r"\r\n[ \t]++")
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_STATUSES = {str(status): status for status in range(100, 700)}
_HOPS = {None: DEFAULT_MAX_FORWARDS} | {str(hops): hops for hops in range(256)}
_NOT_PLAIN: Final = bytes((*range(32), *range(127, 256)))
"""Bytes that a plain header section has none of, but for the CR and LF between its rows."""
_SPLIT: Final = str.split
_STRIP: Final = str.strip
_AT_COLON: Final = repeat(": ")
_ONCE: Final = repeat(1)
_WRITTEN: Final = frozenset(SPELLINGS.values()) - {"Content-Length"}
"""Names that may be written without a look at them."""


@lru_cache(maxsize=64)  # we write a handful; a proxy passes on names that others chose
def _form(names: tuple[str, ...]) -> str | None:
    """The header section of these names, to be filled in; None where one of them needs a look."""
    if not _WRITTEN.issuperset(names):
        return None
    return "".join([f"\r\n{name}: %s" for name in names]) + "\r\nContent-Length: "


def _to_bytes(message: Request | Response) -> bytes:
    """The message as sent; LocalProtocolError if a value could break out of its place."""
    if isinstance(message, Request):
        if not TOKEN.fullmatch(message.method):
            raise LocalProtocolError(f"{message.method!r} is not a method")
        start = f"{message.method} {message.request_uri} SIP/2.0"
    else:
        if not 100 <= message.status <= 699:
            raise LocalProtocolError(f"{message.status!r} is not a status")
        start = f"SIP/2.0 {message.status} {message.reason}"
    rows = message.headers
    body = message.body
    names, values = zip(*rows, strict=True) if rows else ((), ())
    form = _form(names)
    # One look at all the text; what is not plain is looked at row by row.
    if form is not None:
        text = f"{start}{form % values}{len(body)}\r\n\r\n"
        if text.isascii():
            head = text.encode("ascii")
            if len(head.translate(None, _NOT_PLAIN)) + 2 * len(rows) + 6 == len(head):
                return head + body
    return message.encode_with_care(start)


def _validate(message: Request | Response) -> None:
    """Parse all that the layers above rely on; RemoteProtocolError(400) when anything is malformed."""
    _ = message.from_tag, message.to_tag, message.call_id, message.cseq
    first = message.first
    contact = first.get("Contact")
    if contact is None:
        message.contacts = ()
    elif (
        len(first) == len(message.headers)
        and len(contact) <= KNOWN_MOST
        and contact != "*"
        and contact.isascii()
    ):
        try:
            message.contacts = known_addresses(contact)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"Contact: {error}") from None
    else:
        _ = message.contacts
    if "Record-Route" in first:
        _ = message.record_routes
    else:
        message.record_routes = ()
    if isinstance(message, Response):
        return
    _ = message.top_via
    hops = _HOPS.get(first.get("Max-Forwards"))
    if hops is not None:
        message.max_forwards = hops
    else:
        _ = message.max_forwards
    if "Route" in first:
        _ = message.routes
    given = message.request_uri
    if isinstance(given, str) and len(given) <= KNOWN_MOST and given.isascii():
        message.uri = known_uri(given)
    if message.uri.headers:
        raise RemoteProtocolError("headers in the Request-URI")


class Request(Message, msgspec.Struct, eq=False, dict=True):
    """A request; a `request_uri` given as text is written unchanged, and parsed when `uri` is asked for."""

    method: str
    request_uri: Uri | str
    headers: Collection[tuple[str, str]]
    body: bytes = b""

    @Once
    def uri(self) -> Uri:
        """The Request-URI."""
        given = self.request_uri
        return Uri.parse(clean(given)) if isinstance(given, str) else given

    @Once
    def max_forwards(self) -> int:
        """Max-Forwards, 0 to 255; 70 when absent (RFC 3261 §16.6)."""
        value = self.first.get("Max-Forwards")
        if value is None:
            return DEFAULT_MAX_FORWARDS
        if not is_digits(value) or int(value) > 255:
            raise RemoteProtocolError("Max-Forwards is not 0 to 255")
        return int(value)

    def below(self, via: str) -> Request:
        """A copy with one more Via on top."""
        return Request(self.method, self.request_uri, [("Via", via), *self.headers], self.body)

    def stamp(self, host: str, port: int) -> None:
        """Note the source in the top Via of a received request (RFC 3261 §18.2.1, RFC 3581 §4)."""
        via = self.top_via
        if "rport" not in via.params and "received" not in via.params and via.host == host:
            return
        text = self.first["Via"]
        _, asked, after = text.partition(";rport")
        if (
            asked
            and (not after or after[0] == ";")
            and "rport" not in after
            and not ("," in text or '"' in text or "received" in text)
        ):  # by far the commonest: one value that asks by an empty rport
            text = with_source(text, host, port)
        else:
            text = ", ".join((str(via.stamped(host, port)), *split_list(text)[1:]))
        self.put_top_via(text)
        del self.top_via  # it is read again, should anybody ask

    def put_top_via(self, text: str) -> None:
        """Another value of the first Via row, of a received request."""
        if isinstance(self.headers, list):
            rows = list(self.headers)
            rows[next(place for place, (name, _) in enumerate(rows) if name == "Via")] = ("Via", text)
            self.headers = rows
        self.first["Via"] = text

    validate = _validate
    to_bytes = _to_bytes

    def __repr__(self) -> str:
        return f"<Request {self.method}>"


class Response(Message, msgspec.Struct, eq=False, dict=True):
    """A response."""

    status: int
    reason: str
    headers: Collection[tuple[str, str]]
    body: bytes = b""

    validate = _validate
    to_bytes = _to_bytes

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
    first = request.first
    whole = len(first) == len(request.headers)
    try:
        tag = request.to_tag
    except RemoteProtocolError:
        # A To that cannot be parsed is copied as it is; nobody could find a tag in it.
        tag = to_tag = None
    to = first.get("To", "")
    if tag is None and to_tag is not None:
        tag = to_tag
        to = f"{to};tag={to_tag}"
    names = _COPIED
    if status == 100:
        names = _COPIED_BY_TRYING
    elif status < 300 and request.method in _DIALOG_CREATING:
        names = _COPIED_INTO_DIALOG
    copied: list[tuple[str, str]] = []
    for name in names:
        if name not in first:
            continue
        if name == "To":
            copied.append((name, to))
        elif whole or name not in _LISTED:
            copied.append((name, first[name]))
        else:
            copied += [(name, value) for value in request.rows(name)]
    copied += headers
    response = Response(status, reason or REASONS.get(status) or reason_phrase(status), copied, body)
    if tag is not None:
        response.to_tag = tag
    return response


def parse(data: bytes) -> Request | Response:
    """Parse one datagram, or one framed message of a stream (RFC 3261 §7, §18.3).

    A body longer than Content-Length is cut. RemoteProtocolError carries the request when it can be
    answered: a request line and a top Via could be read, and it is not an ACK.

    Read here is what nearly all senders write: ASCII, a colon and a space behind each header name. All
    else, and all that something is wrong with, is left to `parse_with_care`.
    """
    end = data.find(b"\r\n\r\n")
    raw = data[:end]
    body = data[end + 4 :]
    if not 0 <= end <= MAX_PLAIN_HEAD_BYTES or len(body) > MAX_BODY_BYTES:
        return parse_with_care(data)
    lines = raw.decode("latin-1").split("\r\n")
    start = lines.pop(0)
    # Nothing but what can be printed stands between the line ends.
    if len(raw.translate(None, _NOT_PLAIN)) + 2 * len(lines) != len(raw) or len(lines) > MAX_PLAIN_ROWS:
        return parse_with_care(data)
    message: Request | Response
    try:
        method, uri, rest = start.split(" ", 2)
        spelt, values = zip(*map(_SPLIT, lines, _AT_COLON, _ONCE), strict=True)
        layout = layout_of(spelt)
        if layout is None:
            return parse_with_care(data)
        names, whole = layout
        rows = zip(names, map(_STRIP, values), strict=True)  # of spaces: there is nothing else
        if whole:
            first = dict(rows)
            headers: Collection[tuple[str, str]] = first.items()
        else:
            headers = list(rows)
            first = dict(reversed(headers))
        cseq = cseq_of(first["CSeq"])
        if method == "SIP/2.0":
            message = Response(_STATUSES[uri], rest, headers, body)
        elif rest == "SIP/2.0" and uri and cseq.method == method:  # which is a token
            message = Request(method, uri, headers, body)
            message.first = first
            top = first["Via"]
            message.top_via = Via.parse(top) if "," not in top else message.top_via
        else:
            return parse_with_care(data)
    except (KeyError, ValueError, RemoteProtocolError):
        return parse_with_care(data)
    stated = first.get("Content-Length")
    if stated is not None and stated != str(len(body)):
        return parse_with_care(data)
    message.first = first
    message.call_id = first["Call-ID"]
    message.cseq = cseq
    from_, to = first["From"], first["To"]
    party = known_party(from_) if len(from_) <= KNOWN_MOST else PLAIN_PARTY.fullmatch(from_)
    if party is not None:
        message.from_tag = party["tag"]
    party = known_party(to) if len(to) <= KNOWN_MOST else PLAIN_PARTY.fullmatch(to)
    if party is not None:
        message.to_tag = party["tag"]
    return message


def _adopt(message: Message, rows: list[tuple[str, str]]) -> None:
    """Give a message its rows, whose names are canonical."""
    first = dict(rows)
    if len(first) == len(rows):
        message.first, message.headers = first, first.items()
    else:
        message.first, message.headers = dict(reversed(rows)), rows


def parse_with_care(data: bytes) -> Request | Response:
    """The same of any message: all spellings are read, and it is said what is wrong."""
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
    head = _FOLD.sub(" ", data[begin:end].decode("utf-8", "surrogateescape"))
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
    error = _read_rows(message, lines)
    problem = problem or error or _check(message)
    error = _check_body(message, body)
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
    if not reason.isprintable() and FORBIDDEN.search(reason):
        raise RemoteProtocolError("control character in the reason phrase")
    return Response(int(status), clean(reason), ())


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


def _check(message: Request | Response) -> RemoteProtocolError | None:
    """What must be there, what may be there once, and what is needed to answer."""
    first = message.first
    for name in MANDATORY:
        if name not in first:
            return RemoteProtocolError(f"no {name} header")
    if len(first) != len(message.headers):
        names = [name for name, _ in message.headers]
        for name in SINGLE:
            if names.count(name) > 1:
                return RemoteProtocolError(f"more than one {name} header")
    try:
        if isinstance(message, Request):
            _ = message.top_via
        method = message.cseq.method
    except RemoteProtocolError as error:
        return error
    if isinstance(message, Request) and method != message.method:
        return RemoteProtocolError("CSeq names another method")
    return None


def _read_rows(message: Request | Response, lines: list[str]) -> RemoteProtocolError | None:
    """Read all rows, in any spelling, and say what is wrong with the first bad one.

    Those behind a bad one too: an answer needs as many as can be read.
    """
    rows: list[tuple[str, str]] = []
    problem: RemoteProtocolError | None = None
    suspect = not "".join(lines).isprintable()
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
        if not colon or (suspect and FORBIDDEN.search(value)):
            problem = problem or RemoteProtocolError(f"malformed {name} header")
            continue
        rows.append((name, value))
    _adopt(message, rows)
    return problem


def _check_body(message: Request | Response, body: bytes) -> RemoteProtocolError | None:
    message.body = body
    stated = message.first.get("Content-Length")
    if stated is not None:
        if not is_digits(stated):
            return RemoteProtocolError("malformed Content-Length")
        length = int(stated)
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
        via = Via.salvaged(request.first.get("Via", ""))
        if via is not None:
            request.put_top_via(str(via))
        return via is not None
