"""Via header values (RFC 3261 §20.42, RFC 3581)."""

from __future__ import annotations

import re

import msgspec

from engine.sip.errors import LocalProtocolError, RemoteProtocolError
from engine.sip.grammar import NO_PARAMS, TOKEN, Params, format_params, is_digits, parse_params
from engine.sip.uri import format_host, parse_host

MAGIC_COOKIE = "z9hG4bK"
_VIA = re.compile(
    r"""SIP[ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+(?P<transport>[A-Za-z0-9\-.!%*_+`'~]++)[ \t]++
        (?P<host>[A-Za-z0-9][A-Za-z0-9._-]*+|\[[0-9A-Fa-f:.]++\])[ \t]*+
        (?::[ \t]*(?P<port>[0-9]{1,5})[ \t]*)?
        (?P<params>;.*)?""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)

_ANY_VERSION = re.compile(r"SIP[ \t]*+/[ \t]*+[0-9]++\.[0-9]++[ \t]*+/[ \t]*+", re.IGNORECASE)

# What nearly all senders write, once or twice with rport: matched in one go.
_PLAIN = re.compile(
    r"SIP/2\.0/(UDP|TCP|TLS|WSS?) ([a-z0-9][a-z0-9._-]*+)(?::([0-9]{1,5}))?"
    r"(;rport)?;branch=([A-Za-z0-9\-.!%*_+`'~]++)(;rport)?"
)


class Via(msgspec.Struct, frozen=True):
    """One Via value; `transport` in lower case, `host` and `port` are its sent-by."""

    transport: str
    host: str
    port: int | None = None
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> Via:
        """RemoteProtocolError(400) when the text is not a Via value."""
        plain = _PLAIN.fullmatch(text)
        if plain is not None:
            transport, host, port, before, branch, behind = plain.groups()
            number = int(port) if port is not None else None
            if number != 0 and (number is None or number < 65536) and not (before and behind):
                params: dict[str, str | None] = {"branch": branch}
                if before:
                    params = {"rport": None, "branch": branch}
                elif behind:
                    params["rport"] = None
                return cls(transport.lower(), host, number, Params(params))
        match = _VIA.fullmatch(text)
        if match is None:
            raise RemoteProtocolError("malformed Via")
        transport, host, port, rest = match.groups()
        host, number = parse_host(host, port)
        return cls(transport.lower(), host, number, parse_params(rest) if rest else NO_PARAMS)

    @classmethod
    def salvaged(cls, text: str) -> Via | None:
        """What an answer goes by where the value is of another version, or its parameters cannot be read."""
        version = _ANY_VERSION.match(text)
        if version is None:
            return None
        text = f"SIP/2.0/{text[version.end() :]}"
        for readable in (text, text.partition(";")[0].rstrip(" \t")):
            try:
                return cls.parse(readable)
            except RemoteProtocolError:
                continue
        return None

    @property
    def branch(self) -> str | None:
        """The branch parameter, or None."""
        return self.params.get("branch")

    @property
    def received(self) -> str | None:
        """The source address noted by the receiver, or None."""
        return self.params.get("received")

    @property
    def rport(self) -> int | None:
        """The source port noted by the receiver; None when absent or still empty (RFC 3581 §3)."""
        value = self.params.get("rport")
        return int(value) if value and is_digits(value, 5) else None

    def stamped(self, host: str, port: int) -> Via:
        """This Via as its receiver passes it on, with received and rport (RFC 3261 §18.2.1, RFC 3581 §4)."""
        params = self.params
        wants_port = "rport" in params
        if wants_port:
            params = params.with_("rport", str(port)).with_("received", host)
        elif self.host != host:
            params = params.with_("received", host)
        elif "received" in params:
            # Only the receiver says where a request came from.
            params = params.without("received")
        return self if params is self.params else Via(self.transport, self.host, self.port, params)

    def __str__(self) -> str:
        if not TOKEN.fullmatch(self.transport):
            raise LocalProtocolError(f"{self.transport!r} is not a transport")
        sent_by = format_host(self.host, self.port)
        return f"SIP/2.0/{self.transport.upper()} {sent_by}{format_params(self.params)}"


def with_source(text: str, host: str, port: int) -> str:
    """A Via value that asks by an empty rport, as its receiver passes it on (RFC 3581 §4)."""
    before, _, after = text.partition(";rport")
    return f"{before};rport={port}{after};received={host}"
