"""What of a message may be kept: never credentials, never texts between people, never pressed keys."""

from __future__ import annotations

import re
from typing import Final, Literal

from engine.sip.errors import RemoteProtocolError
from engine.sip.names import canonical

Keep = Literal["headers", "full"]

WITHHELD: Final = "(withheld)"
_SECRET_HEADERS: Final = frozenset({"Authorization", "Proxy-Authorization"})
_PASSWORD_IN_URI: Final = re.compile(r"(\bsips?:[^\s:@<>,;]*):[^\s@<>,]*@", re.IGNORECASE)
_KEY_IN_SDP: Final = re.compile(r"^(a=(?:crypto|key-mgmt):).*", re.IGNORECASE | re.MULTILINE)
"""RFC 4568 and RFC 4567; also k= of RFC 4566, below."""
_KEY_LINE: Final = re.compile(r"^(k=).*", re.MULTILINE)
_SDP: Final = "application/sdp"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_CALL_ID: Final = re.compile(rb"\n(?:call-id|i)[ \t]*+:[ \t]*+([^\r\n]*+)", re.IGNORECASE)


def sip_call_id(data: bytes) -> str:
    """The Call-ID, found without parsing; "" where there is none."""
    found = _CALL_ID.search(data)
    return found[1].rstrip(b" \t").decode("utf-8", "surrogateescape") if found is not None else ""


def kept(data: bytes, keep: Keep) -> tuple[str, str]:
    """The text that may be kept of a message, and the type of its body; whatever bytes it is made of."""
    head, _, body = _split(data)
    lines = [_printable(line) for line in _LINE_END.split(head)]
    kind, start = "", lines[0]
    shown: list[str] = [_PASSWORD_IN_URI.sub(rf"\1:{WITHHELD}@", start)]
    secret = False
    for line in lines[1:]:
        if line[:1] in (" ", "\t"):  # goes on with the header above (RFC 3261 §7.3.1)
            if not secret:
                shown.append(_PASSWORD_IN_URI.sub(rf"\1:{WITHHELD}@", line))
            continue
        name, colon, value = line.partition(":")
        known = _name(name)
        secret = known in _SECRET_HEADERS
        if known == "Content-Type":
            kind = value.partition(";")[0].strip().lower()
        shown.append(
            f"{name}{colon} {WITHHELD}" if secret else _PASSWORD_IN_URI.sub(rf"\1:{WITHHELD}@", line)
        )
    if body:
        shown += ["", _kept_body(body, kind if not _is_text(lines) else "", keep)]
    return "\n".join(shown), kind if body else ""


def _is_text(lines: list[str]) -> bool:
    """A MESSAGE or an answer to one: its body is for the two people alone, whatever its type."""
    if lines[0].startswith("MESSAGE "):
        return True
    return any(
        _name(name) == "CSeq" and value.split()[-1:] == ["MESSAGE"]
        for name, _, value in (line.partition(":") for line in lines[1:])
    )


def _kept_body(body: bytes, kind: str, keep: Keep) -> str:
    if keep != "full" or kind != _SDP:
        return f"({len(body)} bytes withheld)"
    text = "\n".join(_printable(line) for line in _LINE_END.split(body))
    text = _KEY_LINE.sub(rf"\1{WITHHELD}", text)
    return _KEY_IN_SDP.sub(rf"\1{WITHHELD}", text).rstrip("\n")


def _split(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Head, separator and body; a head that does not end is all there is."""
    for separator in (b"\r\n\r\n", b"\n\n"):
        if separator in data:
            return data.partition(separator)
    return data.rstrip(b"\r\n"), b"", b""


def _printable(line: bytes) -> str:
    """What is no text, or would move a terminal's cursor, is written as an escape."""
    text = line.decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def _name(text: str) -> str:
    try:
        return canonical(text.strip(" \t"))
    except RemoteProtocolError:
        return ""
