"""Requests and responses, and how they are written (RFC 3261 §7, §8.2.6). Read by `engine.sip.parse`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final

import msgspec

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.grammar import TOKEN, clean, is_digits, split_list
from engine.sip.headers import Message, Once
from engine.sip.names import MANDATORY, SPELLINGS
from engine.sip.status import REASONS, reason_phrase
from engine.sip.uri import KNOWN_MOST, Uri, known_addresses, known_uri
from engine.sip.via import with_source

DEFAULT_MAX_FORWARDS = 70

# Responses to these that may create a dialog carry the request's Record-Route (RFC 3261 §12.1.1, RFC 6665).
_DIALOG_CREATING = ("INVITE", "SUBSCRIBE", "REFER", "NOTIFY")
# … and whatever the answer is, it repeats these (RFC 3261 §8.2.6.2).
_COPIED: tuple[str, ...] = MANDATORY
_COPIED_INTO_DIALOG = ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq")
_COPIED_BY_TRYING = (*_COPIED, "Timestamp")
_LISTED = ("Via", "Record-Route", "Timestamp")
_HOPS = {None: DEFAULT_MAX_FORWARDS} | {str(hops): hops for hops in range(256)}
_NOT_PLAIN: Final = bytes((*range(32), *range(127, 256)))
"""Bytes that a plain header section has none of, but for the CR and LF between its rows."""
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
