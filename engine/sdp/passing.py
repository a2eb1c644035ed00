"""Direct media: a description goes from one side to the other, byte for byte but for its o= line."""

from __future__ import annotations

import re
from typing import Final

from engine.sdp.addresses import OwnAddresses, known
from engine.sdp.description import check_targets, parse

_PLAIN: Final = re.compile(
    rb"""v=0\r\n
    (o=[!-~]{1,300}\ [0-9]{1,32}\ [0-9]{1,32}\ IN\ IP[46]\ [!-~]{1,300})\r\n
    s=[\x20-\x7e]{0,300}+\r\n
    c=IN\ IP4\ ([0-9.]{7,15})\r\n
    (?:b=[!-~]{1,300}\r\n)?
    t=[0-9]{1,20}\ [0-9]{1,20}\r\n
    (?:a=[\x20-\x7e]{1,300}+\r\n){0,20}
    m=audio\ ([1-9][0-9]{0,4})\ RTP/S?AVPF?(?:\ [0-9]{1,3}){1,30}\r\n
    (?:a=(?!rtcp:)[\x20-\x7e]{1,300}+\r\n){0,60}""",
    re.VERBOSE,
)
"""What nearly every phone says: one stream of sound. Groups: o= line, address, port."""


def origin_place(body: bytes, own: OwnAddresses | None = None, *, hold: bool = True) -> tuple[int, int]:
    """Begin and end of the o= line, without its line end, of a description that may be passed on.

    Raises `SdpError` where `parse` would, and with `own` where `check_targets` would.
    """
    match = _PLAIN.fullmatch(body)
    if match is not None:
        begin, end = match.span(1)
        address, port = match[2].decode(), int(match[3])
        place = known(address)
        if port <= 65_535 and not place.unspecified and not place.forbidden:
            if own is not None and (
                (place.loopback and not own.loopback)
                or port in own.media_ports
                or port + 1 in own.media_ports
                or port in own.sip_ports
                or port + 1 in own.sip_ports
            ):
                own.check(address, port, port + 1)
            return begin, end
    description = parse(body)
    if own is not None:
        check_targets(description, own, hold=hold)
    begin = body.index(b"\no=") + 1
    end = body.find(b"\n", begin)
    end = len(body) if end < 0 else end
    return begin, end - 1 if body[end - 1 : end] == b"\r" else end
