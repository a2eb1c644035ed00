"""URIs and name-addrs: parsed from the wire, written so that no value can break out of its place."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address, ip_address
from typing import Any

import msgspec

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.grammar import (
    MAX_VALUES,
    NO_PARAMS,
    Params,
    clean,
    drop_controls,
    escape,
    format_params,
    is_digits,
    parse_params,
    parse_uri_params,
    quote_string,
    split_list,
    unescape,
    unquote_string,
)

HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*+)|\[[0-9A-Fa-f:.]+\]")
_SIP = re.compile(
    r"""(?P<scheme>sips?):
        (?:(?P<user>[^@:\s<>"]*+)(?::(?P<password>[^@\s<>"]*+))?@)?
        (?P<host>[A-Za-z0-9][A-Za-z0-9._-]*+|\[[0-9A-Fa-f:.]++\])
        (?::(?P<port>[0-9]{1,5}))?
        (?P<params>(?:;[^;?\s<>"@,]*+)*)
        (?:\?(?P<headers>[^\s<>"@,]*+))?""",
    re.VERBOSE | re.IGNORECASE,
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_OPAQUE = re.compile(r"[^\s<>\"\x00-\x1f\x7f]+")
_TEL = re.compile(r"[+*#0-9A-Fa-f().-]+")
_PLAIN_USER = re.compile(r"[A-Za-z0-9\-_.!~*'()&=+$,;?/]*")
KNOWN_MOST = 256
"""Characters of a text that is remembered once parsed: a bound of memory."""
_HOST_MOST = 255
"""Octets of a domain name (RFC 1035 §2.3.4); hosts are remembered in many places."""
_USER_SAFE = "!*'()&=+$,;?/"
_AFTER_COLON_SAFE = "!*'()&=+$,"
_PARAM_SAFE = "!*'()[]/:&+$"
_HEADER_SAFE = "!*'()[]/?:+$"
_NAME_ADDR = re.compile(
    r"""(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"|(?P<plain>[^<"]*+))[ \t]*
        <(?P<uri>[^<>]*+)>[ \t]*(?P<params>;.*)?""",
    re.VERBOSE | re.DOTALL,
)


# What nearly all senders write in From and To.
PLAIN_PARTY = re.compile(
    r"""(?:"(?P<display>[^"\\\x00-\x1f\x7f\ud800-\udfff]*+)"[ ])?
        <(?P<uri>(?P<scheme>sips?):(?:(?P<user>[A-Za-z0-9\-_.!~*'()&=+$,;?/]++)@)?
        (?P<host>[a-z0-9][a-z0-9._-]{0,254}+)(?::(?P<port>[1-9][0-9]{0,3}|[1-5][0-9]{4}))?
        (?:;(?P<name>[a-z0-9-]++)(?![^>]*;(?P=name)[;=>])(?:=[A-Za-z0-9._~-]*+)?){0,4})>
        (?:;tag=(?P<tag>[A-Za-z0-9\-.!%*_+`'~]++))?""",
    re.VERBOSE,
)


# All messages of a dialog repeat the same two.
known_party = lru_cache(maxsize=2048)(PLAIN_PARTY.fullmatch)
"""The match of `PLAIN_PARTY`, for texts of `KNOWN_MOST` characters or less."""


def sip_uri(user: str | None, host: str) -> str:
    """What `str(Uri("sip", user, host))` is."""
    if user and user.isascii() and (user.lstrip("+").isalnum() or _PLAIN_USER.fullmatch(user)):
        return f"sip:{user}@{format_host(host, None)}"
    return str(Uri("sip", user, host))


def is_host(text: str) -> bool:
    """Whether text is a host name, an IPv4 address, or an IPv6 address without brackets."""
    if ":" in text:
        try:
            IPv6Address(text)
        except AddressValueError:
            return False
        return "%" not in text
    return not text.startswith("[") and HOST.fullmatch(text) is not None


def is_address(text: str) -> bool:
    """Whether text is an IPv4 or IPv6 address, without brackets."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


# A worker writes few hosts.
@lru_cache(maxsize=4096)
def format_host(host: str, port: int | None) -> str:
    """`host[:port]`, an IPv6 address in brackets; LocalProtocolError when either is not one."""
    if not is_host(host):
        raise LocalProtocolError(f"{host!r} is not a host")
    if port is not None and not 0 < port < 65536:
        raise LocalProtocolError(f"{port!r} is not a port")
    text = f"[{host}]" if ":" in host else host
    return text if port is None else f"{text}:{port}"


def parse_host(host: str, port: str | None) -> tuple[str, int | None]:
    """Host (lower case, IPv6 without brackets) and port; RemoteProtocolError when either is wrong."""
    host = host.lower()
    if len(host) > _HOST_MOST:
        raise RemoteProtocolError("host name too long")
    if host.startswith("["):
        # Where an IPv4 address ends it, RFC 3261's grammar asks for one colon too many (RFC 5118 §4.10).
        host = host[1:-1].replace(":::", "::", 1)
        if not is_host(host):
            raise RemoteProtocolError("malformed IPv6 address")
    if port is None:
        return host, None
    if not is_digits(port, 5) or not 0 < int(port) < 65536:
        raise RemoteProtocolError("port out of range")
    return host, int(port)


class Uri(msgspec.Struct, frozen=True):
    """A sip, sips or tel URI, or any other scheme kept opaque (RFC 3261 §19.1, RFC 3966).

    `user` and `password` are unescaped; a tel URI has its number in `user` and an empty `host`; an opaque
    one (`urn:service:sos`) has all after the scheme in `host`. IPv6 hosts stand without brackets. `headers`
    are the unescaped pairs after the question mark. Change a copy with `uri.replace(host=…)`.
    """

    scheme: str
    user: str | None
    host: str
    port: int | None = None
    params: Params = NO_PARAMS
    headers: tuple[tuple[str, str], ...] = ()
    password: str | None = None

    @staticmethod
    def parse(text: str) -> Uri:
        """RemoteProtocolError(400) when the text is not a URI."""
        return known_uri(text) if len(text) <= KNOWN_MOST else Uri.parse_anew(text)

    @classmethod
    def parse_anew(cls, text: str) -> Uri:
        """The same, of a text that is not worth remembering."""
        match = _SIP.fullmatch(text)
        if match is None:
            return _parse_other(text)
        scheme, user, password, host, port, params, headers = match.groups()
        number = int(port) if port is not None else None
        if host[0] == "[" or len(host) > _HOST_MOST or (number is not None and not 0 < number < 65536):
            host, number = parse_host(host, port)
        else:
            host = host.lower()
        if user is not None:
            if not user:
                raise RemoteProtocolError("empty user part")
            if "%" in user:
                user = unescape(user)
        return cls(
            scheme.lower(),
            user,
            host,
            number,
            parse_uri_params(params) if params else NO_PARAMS,
            _parse_headers(headers) if headers else (),
            unescape(password) if password else password,
        )

    def replace(self, **changes: Any) -> Uri:
        """A copy with the given fields changed."""
        return msgspec.structs.replace(self, **changes)

    def __str__(self) -> str:
        scheme = self.scheme
        if scheme in ("sip", "sips"):
            user = self.user
            if user and self.password is None and _PLAIN_USER.fullmatch(user):
                text = f"{scheme}:{user}@{format_host(self.host, self.port)}"
            elif user is None:
                text = f"{scheme}:{format_host(self.host, self.port)}"
            else:
                text = f"{scheme}:{self._userinfo(user)}{format_host(self.host, self.port)}"
        elif scheme == "tel":
            if self.user is None or not _TEL.fullmatch(self.user):
                raise LocalProtocolError(f"{self.user!r} is not a telephone number")
            text = f"tel:{self.user}"
        else:
            if not _SCHEME.fullmatch(scheme) or not _OPAQUE.fullmatch(self.host):
                raise LocalProtocolError(f"{scheme!r}:{self.host!r} cannot be written as a URI")
            return f"{scheme}:{self.host}"
        if self.params:
            for name, value in self.params.items():
                text += f";{escape(name, _PARAM_SAFE)}"
                if value is not None:
                    text += f"={escape(value, _PARAM_SAFE)}"
        if self.headers:
            text += "?" + "&".join(
                f"{escape(name, _HEADER_SAFE)}={escape(value, _HEADER_SAFE)}" for name, value in self.headers
            )
        return text

    def _userinfo(self, user: str) -> str:
        if not user:
            raise LocalProtocolError("a URI's user part must not be empty")
        if not _PLAIN_USER.fullmatch(user):
            user = escape(user, _USER_SAFE)
        if self.password is None:
            return f"{user}@"
        return f"{user}:{escape(self.password, _AFTER_COLON_SAFE)}@"


def _parse_other(text: str) -> Uri:
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or scheme in ("sip", "sips") or not _SCHEME.fullmatch(scheme) or not _OPAQUE.fullmatch(rest):
        raise RemoteProtocolError("malformed URI")
    if scheme != "tel":
        return Uri(scheme, None, rest)
    number, semicolon, params = rest.partition(";")
    if not _TEL.fullmatch(number):
        raise RemoteProtocolError("malformed telephone number")
    return Uri("tel", number, "", None, parse_uri_params(semicolon + params))


def _parse_headers(text: str) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for part in text.split("&"):
        name, equals, value = part.partition("=")
        if not name or not equals:
            raise RemoteProtocolError("malformed URI headers")
        pairs.append((unescape(name), unescape(value)))
    return tuple(pairs)


class NameAddr(msgspec.Struct, frozen=True):
    """A display name, a URI and header parameters, as in From, To, Contact, Route (RFC 3261 §20.10).

    `display` is unquoted, None when absent; control characters are dropped on parsing, so that what came
    from the wire can always be written again.
    """

    display: str | None
    uri: Uri
    params: Params = NO_PARAMS

    @staticmethod
    def parse(text: str) -> NameAddr:
        """RemoteProtocolError(400) when the text is not a name-addr or addr-spec."""
        return _parse_known_name_addr(text) if len(text) <= KNOWN_MOST else _parse_name_addr(text)

    @property
    def tag(self) -> str | None:
        """The tag parameter, or None."""
        return self.params.get("tag")

    def replace(self, **changes: Any) -> NameAddr:
        """A copy with the given fields changed."""
        return msgspec.structs.replace(self, **changes)

    def with_tag(self, tag: str) -> NameAddr:
        """A copy with its tag set or replaced."""
        return NameAddr(self.display, self.uri, self.params.with_("tag", tag))

    def __str__(self) -> str:
        address = f"<{self.uri}>{format_params(self.params)}" if self.params else f"<{self.uri}>"
        return address if self.display is None else f"{quote_string(self.display)} {address}"


# All messages of a call name the same few, whatever tags stand behind them.
known_uri = lru_cache(maxsize=4096)(Uri.parse_anew)
"""What `Uri.parse` is for texts of `KNOWN_MOST` characters or less."""


def _parse_name_addr(text: str) -> NameAddr:
    party = PLAIN_PARTY.fullmatch(text)
    return name_addr_of(text) if party is None else party_of(party)


def party_of(party: re.Match[str]) -> NameAddr:
    """What a match of `PLAIN_PARTY` says."""
    display, uri, name, tag = party.group("display", "uri", "name", "tag")
    if name is None:  # nothing stands behind the port: the pattern has read all that there is
        scheme, user, host, port = party.group("scheme", "user", "host", "port")
        parsed = Uri(scheme, user, host, int(port) if port else None)
    else:
        parsed = known_uri(uri) if len(uri) <= KNOWN_MOST else Uri.parse_anew(uri)
    return NameAddr(display, parsed, Params({"tag": tag}) if tag else NO_PARAMS)


def name_addr_of(text: str) -> NameAddr:
    """What `NameAddr.parse` is, for texts of any kind."""
    match = _NAME_ADDR.fullmatch(text)
    if match is None:
        return _parse_addr_spec(text)
    quoted, plain, uri, params = match.groups()
    if quoted is not None:
        display: str | None = unquote_string(quoted)
    else:
        display = drop_controls(plain).strip(" ") or None
    return NameAddr(display, Uri.parse(uri), parse_params(params) if params else NO_PARAMS)


# All messages of a dialog repeat the same two or three.
_parse_known_name_addr = lru_cache(maxsize=2048)(_parse_name_addr)


def tag_of(text: str) -> str | None:
    """The tag of a From or To value, or None; RemoteProtocolError(400) when the text is none."""
    plain = PLAIN_PARTY.fullmatch(text)
    return plain["tag"] if plain is not None else NameAddr.parse(clean(text)).tag


def addresses(text: str) -> tuple[NameAddr, ...]:
    """The values of one Contact, Route or Record-Route row; RemoteProtocolError(400) when one is none."""
    return known_addresses(text) if len(text) <= KNOWN_MOST else _parse_addresses(text)


def _parse_addresses(text: str) -> tuple[NameAddr, ...]:
    items = split_list(text)
    if len(items) > MAX_VALUES:
        raise RemoteProtocolError(f"more than {MAX_VALUES} values")
    return tuple([NameAddr.parse(item) for item in items])


# A peer's Contact is the same in many of its messages.
known_addresses = lru_cache(maxsize=2048)(_parse_addresses)
"""What `addresses` is for texts of `KNOWN_MOST` characters or less."""


def _parse_addr_spec(text: str) -> NameAddr:
    # Without brackets every parameter belongs to the header, and a question mark is not allowed (§20.10).
    address, semicolon, params = text.partition(";")
    if "?" in address or "," in address:
        raise RemoteProtocolError("URI needs angle brackets")
    return NameAddr(None, Uri.parse(address.rstrip(" \t")), parse_params(semicolon + params))
