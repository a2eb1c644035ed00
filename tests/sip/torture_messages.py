"""The 61 messages of RFC 4475 and RFC 5118 as bytes, read from the text files beside this one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_ONE_LINE = re.compile(r"<allOneLine>\n(.*?)\n</allOneLine>", re.DOTALL)
_HEX = re.compile(r"<hex>([0-9A-F\n]*)</hex>")
_REPEAT = re.compile(r"<repeat count=([0-9]+)>(.*?)</repeat>")
_SDP = re.compile(r"<sdp ([0-9.]+)(?: ([0-9]+))?>")


@dataclass(frozen=True, slots=True)
class Torture:
    """One message, the RFC and section it is from and the name it has there."""

    rfc: int
    section: str
    name: str
    data: bytes


def read_all() -> tuple[Torture, ...]:
    """In the order of the RFCs."""
    return tuple(message for rfc in (4475, 5118) for message in _read(rfc))


def _read(rfc: int) -> list[Torture]:
    text = (Path(__file__).parent / "torture" / f"rfc{rfc}.txt").read_text("ascii")
    found = []
    for piece in text.removesuffix("\n").split("\n== ")[1:]:
        title, _, message = piece.partition("\n")
        section, name = title.split(" ")
        found.append(Torture(rfc, section, name, _expand(message + "\n")))
    return found


def _expand(text: str) -> bytes:
    """The notation of RFC 4475 §2 resolved. Bytes beyond ASCII pass through as Latin-1."""
    text = _SDP.sub(_description, text)
    text = _ONE_LINE.sub(lambda found: found[1].replace("\n", ""), text)
    text = _HEX.sub(lambda found: bytes.fromhex(found[1]).decode("latin-1"), text.replace("\n", "\r\n"))
    return _REPEAT.sub(lambda found: found[2] * int(found[1]), text).encode("latin-1")


def _description(found: re.Match[str]) -> str:
    address, start = found[1], found[2] or "0"
    origin = f"o=mhandley 29739 7272939 IN IP4 {address}\ns=-\nc=IN IP4 {address}"
    media = "m=audio 49217 RTP/AVP 0 12\nm=video 3227 RTP/AVP 31\na=rtpmap:31 LPC"
    return f"v=0\n{origin}\nt={start} 0\n{media}"
