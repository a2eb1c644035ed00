"""Messages read from the wire (RFC 3261 §7, §18.3): the usual ones in one go, any other with care."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from engine.sip.errors import RemoteProtocolError
from engine.sip.grammar import TOKEN, clean, is_digits
from engine.sip.headers import FORBIDDEN, Message, cseq_of
from engine.sip.layouts import VALUE, Layouts, row
from engine.sip.message import Request, Response
from engine.sip.names import MANDATORY, SINGLE, SPELLINGS, canonical, layout_of
from engine.sip.uri import KNOWN_MOST, PLAIN_PARTY, known_party
from engine.sip.via import Via

MAX_HEAD_BYTES = 24 * 1024
MAX_BODY_BYTES = 40 * 1024
MAX_ROWS = 256
MAX_PLAIN_HEAD_BYTES = 8 * 1024
_FOLD = re.compile(r"\r\n[ \t]++")
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_STATUSES = {str(status): status for status in range(100, 700)}
_START: Final = "([!-~]+) ([!-~]+) ([ -~]*)"
_LENGTH: Final = "([0-9]{1,6}) *"  # often written last, into room left for it


class _Layout(NamedTuple):
    match: Callable[[str], re.Match[str] | None]
    """A header section. Its groups: the start line's three words, each row's value."""
    names: tuple[str, ...]
    """Canonical, for the groups but three."""
    whole: bool
    """No name stands twice."""


def _layout(names: tuple[str, ...]) -> _Layout | None:
    known = layout_of(names)
    if known is None:
        return None
    rows = [_START]
    for canonical_name, name in zip(known[0], names, strict=True):
        rows.append(row(name, _LENGTH if canonical_name == "Content-Length" else VALUE))
    return _Layout(re.compile("\r\n".join(rows)).fullmatch, *known)


_layouts: Final = Layouts(_layout)


def parse(data: bytes) -> Request | Response:
    """Parse one datagram, or one framed message of a stream.

    A body longer than Content-Length is cut. RemoteProtocolError carries the request when it can be
    answered: a request line and a top Via could be read, and it is not an ACK.

    Read here is a message of ASCII, with a space behind each colon, whose layout is known.
    """
    end = data.find(b"\r\n\r\n")
    body = data[end + 4 :]
    kind = data[:4]  # tells methods apart, whose layouts differ
    if kind == b"SIP/":
        kind = data[: len("SIP/2.0 200")]
    layouts = _layouts.of(kind)
    if layouts is None or not 0 < end <= MAX_PLAIN_HEAD_BYTES or len(body) > MAX_BODY_BYTES:
        return _parse_other(data, kind)
    head = data[:end].decode("latin-1")
    for layout in layouts:
        found = layout.match(head)
        if found is not None:
            break
    else:
        return _parse_other(data, kind)
    method, uri, rest, *values = found.groups()
    rows = zip(layout.names, values, strict=True)
    message: Request | Response | None = None
    try:
        if layout.whole:
            first = dict(rows)
            headers: Collection[tuple[str, str]] = first.items()
        else:
            headers = list(rows)
            first = dict(reversed(headers))
        cseq = cseq_of(first["CSeq"])
        if method == "SIP/2.0":
            message = Response(_STATUSES[uri], rest, headers, body)
        elif rest == "SIP/2.0" and cseq.method == method:  # which is a token
            message = Request(method, uri, headers, body)
            message.first = first
            top = first["Via"]
            message.top_via = Via.parse(top) if "," not in top else message.top_via
    except (KeyError, RemoteProtocolError):
        return _parse_other(data, kind)
    stated = first.get("Content-Length")
    if message is None or (stated is not None and stated != str(len(body))):
        return _parse_other(data, kind)
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


def _parse_other(data: bytes, kind: bytes) -> Request | Response:
    """The same of a message whose layout is not known, or that says something unusual."""
    message = parse_with_care(data)
    end = data.find(b"\r\n\r\n")
    if 0 < end <= MAX_PLAIN_HEAD_BYTES:
        _layouts.learn(kind, data[:end].decode("latin-1"))
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
