"""Requests and responses: parsed from the wire, written to it (RFC 3261 §7, §8.2.6)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.grammar import TOKEN, clean, is_digits, split_list
from engine.sip.headers import FORBIDDEN, NOT_PLAIN, Message, Once, cseq_of
from engine.sip.names import SINGLE, SPELLINGS, canonical
from engine.sip.status import REASONS, reason_phrase
from engine.sip.uri import Uri
from engine.sip.via import Via

MAX_HEAD_BYTES = 24 * 1024
MAX_BODY_BYTES = 40 * 1024
MAX_ROWS = 256
DEFAULT_MAX_FORWARDS = 70

_MANDATORY = ("Via", "From", "To", "Call-ID", "CSeq")
# Responses to these that may create a dialog carry the request's Record-Route (RFC 3261 §12.1.1, RFC 6665).
_DIALOG_CREATING = ("INVITE", "SUBSCRIBE", "REFER", "NOTIFY")
# … and whatever the answer is, it repeats these (RFC 3261 §8.2.6.2).
_COPIED: tuple[str, ...] = ("Via", "From", "To", "Call-ID", "CSeq")
_COPIED_INTO_DIALOG = ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq")
_COPIED_BY_TRYING = (*_COPIED, "Timestamp")
_LISTED = ("Via", "Record-Route", "Timestamp")
_FOLD = re.compile(r"\r\n[ \t]++")
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_STATUSES = {str(status): status for status in range(100, 700)}
_HOPS = {str(hops): hops for hops in range(256)}


class Request(Message):
    """A request; a `request_uri` given as text is written unchanged, and parsed when `uri` is asked for."""

    def __init__(
        self, method: str, uri: Uri | str, headers: Collection[tuple[str, str]], body: bytes = b""
    ) -> None:
        self.method = method
        self.request_uri = uri
        self.headers = headers
        self.body = body

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

    def validate(self) -> None:
        """Parse all that the layers above rely on; RemoteProtocolError(400) when anything is malformed."""
        super().validate()
        first = self.first
        _ = self.top_via
        if first.get("Max-Forwards") not in _HOPS:
            _ = self.max_forwards
        if "Route" in first:
            _ = self.routes
        if self.uri.headers:
            raise RemoteProtocolError("headers in the Request-URI")

    def below(self, via: str) -> Request:
        """A copy with one more Via on top."""
        return Request(self.method, self.request_uri, [("Via", via), *self.headers], self.body)

    def stamp(self, host: str, port: int) -> None:
        """Note the source in the top Via of a received request (RFC 3261 §18.2.1, RFC 3581 §4)."""
        via = self.top_via
        if "rport" not in via.params and "received" not in via.params and via.host == host:
            return
        text = self.first["Via"]
        before, asked, after = text.partition(";rport")
        if (
            asked
            and (not after or after[0] == ";")
            and "rport" not in after
            and not ("," in text or '"' in text or "received" in text)
        ):  # by far the commonest: one value that asks by an empty rport
            text = f"{before};rport={port}{after};received={host}"
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

    def to_bytes(self) -> bytes:
        """The message as sent; LocalProtocolError if a value could break out of its place."""
        if not TOKEN.fullmatch(self.method):
            raise LocalProtocolError(f"{self.method!r} is not a method")
        return self._encode(f"{self.method} {self.request_uri} SIP/2.0")

    def __repr__(self) -> str:
        return f"<Request {self.method}>"


class Response(Message):
    """A response."""

    def __init__(
        self, status: int, reason: str, headers: Collection[tuple[str, str]], body: bytes = b""
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body

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
    first = request.first
    whole = len(first) == len(request.headers)
    try:
        tag = request.to_tag
    except RemoteProtocolError:
        # A To that cannot be parsed is copied as it is; nobody could find a tag in it.
        tag = to_tag = None
    if tag is None and to_tag is not None:
        tag = to_tag
        first = {**first, "To": f"{first['To']};tag={to_tag}"}
    names = _COPIED
    if status == 100:
        names = _COPIED_BY_TRYING
    elif status < 300 and request.method in _DIALOG_CREATING:
        names = _COPIED_INTO_DIALOG
    if whole:
        copied = [(name, first[name]) for name in names if name in first]
    else:
        copied = [
            (name, value)
            for name in names
            if name in first
            for value in (request.rows(name) if name in _LISTED else (first[name],))
        ]
    copied += headers
    response = Response(status, reason or REASONS.get(status) or reason_phrase(status), copied, body)
    if tag is not None:
        response.to_tag = tag
    return response


def parse(data: bytes) -> Request | Response:
    """Parse one datagram, or one framed message of a stream (RFC 3261 §7, §18.3).

    A body longer than Content-Length is cut. RemoteProtocolError carries the request when it can be
    answered: a request line and a top Via could be read, and it is not an ACK.
    """
    return parse_plainly(data) or parse_with_care(data)


def parse_plainly(data: bytes) -> Request | Response | None:
    """A message as nearly all senders write it: ASCII, a colon and a space behind each header name.

    None for any other, and for all that something is wrong with.
    """
    end = data.find(b"\r\n\r\n")
    raw = data[:end]
    body = data[end + 4 :]
    if not 0 <= end <= MAX_HEAD_BYTES or len(body) > MAX_BODY_BYTES:
        return None
    start, *lines = raw.decode("latin-1").split("\r\n")
    # Nothing but what can be printed stands between the line ends.
    if len(raw.translate(None, NOT_PLAIN)) + 2 * len(lines) != len(raw) or len(lines) >= MAX_ROWS:
        return None
    names = SPELLINGS
    message: Request | Response
    try:
        pairs = [line.split(": ", 1) for line in lines]
        first = {names.get(name) or canonical(name): value.strip(" ") for name, value in pairs}
        method, uri, rest = start.split(" ", 2)
        if method == "SIP/2.0":
            message = Response(_STATUSES[uri], rest, first.items(), body)
        elif rest == "SIP/2.0" and uri and TOKEN.fullmatch(method):
            message = Request(method, uri, first.items(), body)
        else:
            return None
        message.first = first
        if len(first) != len(pairs):
            _adopt(message, [(canonical(name), value.strip(" ")) for name, value in pairs])
        message.call_id = first["Call-ID"]
        message.cseq = cseq_of(first["CSeq"])
    except (KeyError, ValueError, RemoteProtocolError):
        return None
    stated = first.get("Content-Length")
    whole = stated is None or stated == str(len(body))
    return message if whole and _check(message) is None else None


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
    for name in _MANDATORY:
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
