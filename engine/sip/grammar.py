"""Pieces of the SIP grammar shared by URIs and header values (RFC 3261 §25.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NoReturn
from urllib.parse import quote, unquote_to_bytes

from engine.sip.errors import LocalProtocolError, RemoteProtocolError

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
# Hosts and IPv6 references may stand unquoted as a generic parameter's value.
_BARE_VALUE = re.compile(r"[A-Za-z0-9\-.!%*_+`'~\[\]:]+")
_LIST_ITEM = re.compile(r'(?:[^",<]++|"(?:[^"\\]|\\.)*+"|<[^>]*+>)*', re.DOTALL)
_PARAM = re.compile(
    r""";[ \t]*+([A-Za-z0-9\-.!%*_+`'~]++)[ \t]*+
        (?:=[ \t]*+(?:"((?:[^"\\]|\\.)*+)"|([^\s;,"\x00-\x1f\x7f]*+))[ \t]*+)?""",
    re.VERBOSE | re.DOTALL,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_QUOTED_PAIR = re.compile(r'(["\\])')
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


MAX_VALUES = 128
"""Of one header, of those that are read one by one: no path is as long, and strangers would have us read."""


class Params(dict[str, str | None]):
    """Parameters in order, names in lower case; a parameter without a value maps to None.

    Immutable and hashable. Two are equal whatever their order (RFC 3261 §19.1.4). Make and ask with names
    in lower case.
    """

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("parameters are immutable")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __repr__(self) -> str:
        return f"Params({dict.__repr__(self)})"

    def with_(self, name: str, value: str | None) -> Params:
        """A copy with one parameter set or replaced."""
        return Params({**self, name.lower(): value})

    def without(self, *names: str) -> Params:
        """A copy lacking the named parameters."""
        return Params({name: value for name, value in self.items() if name not in names})


NO_PARAMS = Params()


def is_digits(text: str, most: int = 10) -> bool:
    """Whether text is 1 to `most` ASCII digits and nothing else."""
    return 0 < len(text) <= most and text.isascii() and text.isdigit()


def clean(value: str) -> str:
    """Received text without the surrogates that stand for bytes outside UTF-8."""
    if value.isascii():
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def reject_controls(text: str) -> str:
    """The text itself; LocalProtocolError if a control character would be written to the wire."""
    if not text.isprintable() and _CONTROL.search(text):
        raise LocalProtocolError(f"control character in {text!r}")
    return text


def drop_controls(text: str) -> str:
    """Text without control characters, which quoted pairs may smuggle in (RFC 4475 §3.1.1.2)."""
    return text if text.isprintable() else _CONTROL.sub("", text.replace("\t", " "))


def split_list(value: str) -> list[str]:
    """Split a header value at its commas outside quotes and angle brackets; empty items are skipped."""
    if "," not in value:
        return [value] if value else []
    items: list[str] = []
    position = 0
    while position <= len(value):
        match = _LIST_ITEM.match(value, position)
        end = match.end() if match else position
        if end < len(value) and value[end] != ",":
            raise RemoteProtocolError("unbalanced quotes or brackets")
        item = value[position:end].strip(" \t")
        if item:
            items.append(item)
        position = end + 1
    return items


def unquote_string(inner: str) -> str:
    """The content of a quoted string: quoted pairs resolved, control characters dropped."""
    return drop_controls(_QUOTED_PAIR.sub(r"\1", inner) if "\\" in inner else inner)


def quote_string(text: str) -> str:
    """Text as a quoted string, quotes included."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + _NEEDS_QUOTED_PAIR.sub(r"\\\1", reject_controls(text)) + '"'


def parse_params(text: str) -> Params:
    """Header parameters from text that is empty or starts with a semicolon."""
    if not text:
        return NO_PARAMS
    if text.startswith(";tag=") and TOKEN.fullmatch(text, 5):
        return Params({"tag": text[5:]})
    found: dict[str, str | None] = {}
    position = 0
    while position < len(text):
        match = _PARAM.match(text, position)
        if match is None:
            raise RemoteProtocolError("malformed parameters")
        name, quoted, bare = match.groups()
        name = name.lower()
        if name in found:
            raise RemoteProtocolError("a parameter appears twice")
        found[name] = unquote_string(quoted) if quoted is not None else bare
        position = match.end()
    return Params(found)


def format_params(params: Mapping[str, str | None]) -> str:
    """Parameters as `;name=value…`, values quoted where the grammar asks for it."""
    if not params:
        return ""
    if len(params) == 1 and (tag := params.get("tag")) and TOKEN.fullmatch(tag):
        return f";tag={tag}"
    parts: list[str] = []
    for name, value in params.items():
        if not TOKEN.fullmatch(name):
            raise LocalProtocolError(f"parameter name {name!r} is not a token")
        if value is None:
            parts.append(f";{name}")
        elif _BARE_VALUE.fullmatch(value):
            parts.append(f";{name}={value}")
        else:
            parts.append(f";{name}={quote_string(value)}")
    return "".join(parts)


def parse_uri_params(text: str) -> Params:
    """URI parameters from text that is empty or starts with a semicolon; escapes are resolved."""
    if not text:
        return NO_PARAMS
    found: dict[str, str | None] = {}
    for part in text[1:].split(";"):
        name, equals, value = part.partition("=")
        name = unescape(name).lower()
        if not name or name in found:
            raise RemoteProtocolError("malformed URI parameters")
        found[name] = unescape(value) if equals else None
    return Params(found)


def unescape(text: str) -> str:
    """Resolve %HH escapes; RemoteProtocolError when one is broken or the result is not UTF-8."""
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise RemoteProtocolError("broken escape")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError("escapes are not UTF-8") from None


@lru_cache(maxsize=4096)
def escape(text: str, safe: str) -> str:
    """Escape all but letters, digits, `-._~` and the characters in `safe`."""
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError:
        raise LocalProtocolError(f"{text!r} is not Unicode text") from None
