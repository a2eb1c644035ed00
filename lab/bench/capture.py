"""Signalling delays from packets seen on loopback, with the kernel's time of each.

SIPp's own response clock has steps of 4 ms; a capture sees the difference between a request going in and one
coming out as it is. A filter in the kernel lets through no more than the delays need, so that thousands of
calls a second can be watched from the processor that also makes them. Needs root (a packet socket).
"""

import ctypes
import re
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_SO_TIMESTAMPNS = 35
_SO_ATTACH_FILTER = 26
_ETH_P_ALL = 3
_LINK_HEADER = 14
_RECEIVE_BUFFER = 64 * 1024 * 1024

# linux/filter.h: (operation, instructions to skip if true, if false, operand)
_LOAD_WORD, _LOAD_BYTE, _JUMP_EQUAL, _RETURN = 0x20, 0x30, 0x15, 0x06
_PACKET_TYPE = 0xFFFF_F004  # SKF_AD_OFF + SKF_AD_PKTTYPE
_OUTGOING = 4
_UDP_PAYLOAD = _LINK_HEADER + 20 + 8
_WANTED = (
    (_LOAD_WORD, 0, 0, _PACKET_TYPE),
    (_JUMP_EQUAL, 0, 8, _OUTGOING),  # loopback shows each packet twice, going out and coming in
    (_LOAD_BYTE, 0, 0, _LINK_HEADER + 9),
    (_JUMP_EQUAL, 0, 6, socket.IPPROTO_UDP),
    (_LOAD_WORD, 0, 0, _UDP_PAYLOAD),
    (_JUMP_EQUAL, 3, 0, int.from_bytes(b"INVI", "big")),
    (_JUMP_EQUAL, 0, 3, int.from_bytes(b"SIP/", "big")),
    (_LOAD_BYTE, 0, 0, _UDP_PAYLOAD + len("SIP/2.0 ")),
    (_JUMP_EQUAL, 1, 0, ord("1")),  # nothing is read from provisional responses
    (_RETURN, 0, 0, 0xFFFF),
    (_RETURN, 0, 0, 0),
)

Host = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Packet:
    """One UDP datagram: kernel time in seconds, ends as (address, port), payload."""

    at_s: float
    source: Host
    destination: Host
    payload: bytes


@contextmanager
def capture() -> Iterator[list[Packet]]:
    """Collect INVITEs and final responses on loopback (IPv4, UDP) while the block lasts.

    Once it is left the list is whole.
    """
    packets: list[Packet] = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        _attach_filter(raw)
        raw.bind(("lo", _ETH_P_ALL))
        raw.settimeout(0.2)
        over = threading.Event()
        frames: list[tuple[bytes, float]] = []
        reader = threading.Thread(target=_collect, args=(raw, over, frames), name="capture")
        reader.start()
        try:
            yield packets
        finally:
            over.set()
            reader.join()
            read = (read_packet(frame[_LINK_HEADER:], at_s) for frame, at_s in frames)
            packets += [packet for packet in read if packet is not None]


def _attach_filter(raw: socket.socket) -> None:
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in _WANTED)
    held = ctypes.create_string_buffer(packed, len(packed))
    description = struct.pack("HP", len(_WANTED), ctypes.addressof(held))
    raw.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, description)


def _collect(raw: socket.socket, over: threading.Event, frames: list[tuple[bytes, float]]) -> None:
    """Read until `over` is set and nothing more comes for one time-out."""
    while True:
        try:
            frame, extra, _, _ = raw.recvmsg(65535, 64)
        except TimeoutError:
            if over.is_set():
                return
            continue
        frames.append((frame, _time(extra)))


def _time(extra: list[tuple[int, int, bytes]]) -> float:
    seconds, nanoseconds = struct.unpack("qq", extra[0][2])
    return float(seconds) + float(nanoseconds) / 1e9


def read_packet(datagram: bytes, at_s: float) -> Packet | None:
    """The UDP payload of an IPv4 packet, or None for anything else."""
    if len(datagram) < 28 or datagram[0] >> 4 != 4 or datagram[9] != socket.IPPROTO_UDP:
        return None
    start = (datagram[0] & 15) * 4
    source_port, destination_port = struct.unpack_from("!HH", datagram, start)
    source, destination = socket.inet_ntoa(datagram[12:16]), socket.inet_ntoa(datagram[16:20])
    return Packet(at_s, (source, source_port), (destination, destination_port), datagram[start + 8 :])


_INVITE = re.compile(rb"INVITE sip:\+?([0-9]+)@")
_FINAL = re.compile(rb"SIP/2\.0 ([2-6][0-9][0-9]) ")
_CALL_ID = re.compile(rb"\r\n(?:Call-ID|i):[ \t]*([^\r]+)", re.IGNORECASE)
_OF_INVITE = re.compile(rb"\r\nCSeq:[ \t]*[0-9]+[ \t]+INVITE", re.IGNORECASE)
_DIGITS = 8


def reject_delays_ms(packets: Iterable[Packet], under_test: Host) -> list[float]:
    """For each INVITE that reached the program: until its first final answer left."""
    asked: dict[bytes, float] = {}
    delays: dict[bytes, float] = {}
    for packet in packets:
        call_id = _value(_CALL_ID, packet.payload)
        if packet.destination == under_test and _INVITE.match(packet.payload):
            asked.setdefault(call_id, packet.at_s)
        elif packet.source == under_test and call_id in asked and _answers_invite(packet):
            delays.setdefault(call_id, (packet.at_s - asked[call_id]) * 1000)
    return list(delays.values())


def call_delays_ms(packets: Iterable[Packet], under_test: Host) -> list[float]:
    """For each call put through: what the program added, to the INVITE on its way there and to the 200 back.

    Two legs are one call where the last digits of the called number agree: it differs from call to call.
    """
    times: dict[bytes, dict[str, float]] = {}
    number_of: dict[bytes, bytes] = {}
    for packet in packets:
        call_id = _value(_CALL_ID, packet.payload)
        invite = _INVITE.match(packet.payload)
        if invite:
            step = "invite_in" if packet.destination == under_test else "invite_out"
            number_of.setdefault(call_id, invite[1][-_DIGITS:])
        elif call_id in number_of and _answers_invite(packet):
            step = "answer_in" if packet.destination == under_test else "answer_out"
        else:
            continue
        times.setdefault(number_of[call_id], {}).setdefault(step, packet.at_s)
    whole = (steps for steps in times.values() if len(steps) == 4)
    return [(s["invite_out"] - s["invite_in"] + s["answer_out"] - s["answer_in"]) * 1000 for s in whole]


def _value(pattern: re.Pattern[bytes], payload: bytes) -> bytes:
    found = pattern.search(payload)
    return found[1] if found else b""


def _answers_invite(packet: Packet) -> bool:
    return bool(_FINAL.match(packet.payload) and _OF_INVITE.search(packet.payload))
