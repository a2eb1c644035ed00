"""Requests and responses: parsed from the wire, written to it (RFC 3261 §7, §8.2.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.grammar import TOKEN, is_digits, split_list
from engine.sip.headers import FORBIDDEN, Message, clean
from engine.sip.names import SINGLE, SPELLINGS, canonical
from engine.sip.status import reason_phrase
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
_REPEATED = ("From", "To", "Call-ID", "CSeq")
# Bytes that a plain header section has none of: controls but for CR and LF, and all beyond ASCII.
_NOT_PLAIN = bytes((*range(10), 11, 12, *range(14, 32), *range(127, 256)))
_FOLD = re.compile(r"\r\n[ \t]++")
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)


class Request(Message):
    """A request; `uri` may be given as text, which is then written unchanged and parsed on first use."""

    __slots__ = ("_uri", "method")

    def __init__(
        self, method: str, uri: Uri | str, headers: Sequence[tuple[str, str]], body: bytes = b""
    ) -> None:
        super().__init__(headers, body)
        self.method = method
        self._uri = uri

    @property
    def uri(self) -> Uri:
        """The Request-URI."""
        uri = self._uri
        if isinstance(uri, str):
            uri = self._uri = Uri.parse(clean(uri))
        return uri

    @property
    def request_uri(self) -> Uri | str:
        """The Request-URI as given or received, for a message that repeats it."""
        return self._uri

    @property
    def max_forwards(self) -> int:
        """Max-Forwards, 0 to 255; 70 when absent (RFC 3261 §16.6)."""
        found = self.rows("Max-Forwards")
        if not found:
            return DEFAULT_MAX_FORWARDS
        value = found[0]
        if not is_digits(value) or int(value) > 255:
            raise RemoteProtocolError("Max-Forwards is not 0 to 255")
        return int(value)

    def validate(self) -> None:
        """Parse all that the layers above rely on; RemoteProtocolError(400) when anything is malformed."""
        super().validate()
        _ = self.top_via, self.max_forwards, self.routes
        if self.uri.headers:
            raise RemoteProtocolError("headers in the Request-URI")

    def below(self, via: str) -> Request:
        """A copy with one more Via on top."""
        return Request(self.method, self._uri, [("Via", via), *self.headers], self.body)

    def stamp(self, host: str, port: int) -> None:
        """Note the source in the top Via of a received request (RFC 3261 §18.2.1, RFC 3581 §4)."""
        via = self.top_via
        stamped = via.stamped(host, port)
        if stamped is via:
            return
        rows = self.rows("Via")
        text = rows[0]
        before, asked, after = text.partition(";rport")
        if (
            asked
            and (not after or after[0] == ";")
            and "rport" not in after
            and not any(odd in text for odd in (",", '"', "received"))
        ):  # by far the commonest: one value that asks by an empty rport
            text = f"{before};rport={port}{after};received={host}"
        else:
            text = ", ".join((str(stamped), *split_list(text)[1:]))
        rows[0] = text
        headers = list(self.headers)
        place = next(place for place, (name, _) in enumerate(headers) if name == "Via")
        headers[place] = ("Via", text)
        self._headers = headers
        self._parsed.pop("all Via", None)
        self._parsed["top Via"] = stamped

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
        super().__init__(headers, body)
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
    rows = request.rows
    copied = [("Via", value) for value in rows("Via")]
    if 100 < status < 300 and request.method in _DIALOG_CREATING:
        copied += [("Record-Route", value) for value in rows("Record-Route")]
    for name in _REPEATED:
        for value in rows(name)[:1]:
            if name == "To" and to_tag is not None and not _has_tag(request):
                value = f"{value};tag={to_tag}"
            copied.append((name, value))
    if status == 100:
        copied += [("Timestamp", value) for value in rows("Timestamp")]
    copied += headers
    return Response(status, reason_phrase(status) if reason is None else reason, copied, body)


def _has_tag(request: Request) -> bool:
    try:
        return request.to.tag is not None
    except RemoteProtocolError:
        # A To that cannot be parsed is copied as it is; nobody could find a tag in it.
        return True


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
    raw = data[begin:end]
    plain = problem is None and len(raw.translate(None, _NOT_PLAIN)) == len(raw)
    head = raw.decode("utf-8", "surrogateescape")
    if "\r\n " in head or (not plain and "\r\n\t" in head):
        head, plain = _FOLD.sub(" ", head), False
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
    if not (plain and _index_plain(message, lines, raw)):
        error = _index_with_care(message, lines)
        problem = problem or error
    error = _check(message) if problem is None else None
    error = error or _check_body(message, body)
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


def _index_plain(message: Request | Response, lines: list[str], raw: bytes) -> bool:
    """Index rows as nearly all senders write them: known names, a colon and a space. False for any other."""
    if not raw.count(b"\r") == raw.count(b"\n") == len(lines) - 1:
        return False  # CR or LF alone
    names = SPELLINGS
    rows = [line.partition(": ") for line in lines[1:]]
    try:
        index = {names[name]: [value.strip(" ")] for name, _, value in rows}
        if len(index) != len(rows):
            index = {}
            for name, _, value in rows:
                index.setdefault(names[name], []).append(value.strip(" "))
    except KeyError:
        return False
    message.adopt(None, index, lines)
    return True


def _check(message: Request | Response) -> RemoteProtocolError | None:
    """What must be there, what may be there once, and what is needed to answer."""
    index = message.index
    for name in _MANDATORY:
        if name not in index:
            return RemoteProtocolError(f"no {name} header")
    if len(index) != message.row_count:
        for name in SINGLE:
            if name in index and len(index[name]) > 1:
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


def _index_with_care(message: Request | Response, lines: list[str]) -> RemoteProtocolError | None:
    """Index all rows, in any spelling, and say what is wrong with the first bad one.

    Those behind a bad one too: an answer needs as many as can be read.
    """
    headers: list[tuple[str, str]] = []
    index: dict[str, list[str]] = {}
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
        headers.append((name, value))
        found = index.get(name)
        if found is None:
            index[name] = [value]
        else:
            found.append(value)
    message.adopt(headers, index, lines)
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
        found = request.rows("Via")
        via = Via.salvaged(found[0]) if found else None
        if via is not None:
            found[0] = str(via)
        return via is not None
