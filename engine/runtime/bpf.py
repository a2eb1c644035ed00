"""A socket filter that lets the kernel drop what banned sources send (Linux, classic BPF).

It sits on our own socket and needs no privilege; nobody else's traffic is touched.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from ipaddress import IPv4Network, IPv6Network
from typing import Final

Source = IPv4Network | IPv6Network

MAX_SOURCES: Final = 128
"""What one filter tells apart: it is walked for every datagram, and the kernel bounds its memory."""

# linux/filter.h and asm-generic/socket.h
_LOAD_WORD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_NETWORK_HEADER: Final = 0xFFF0_0000  # SKF_NET_OFF: offsets from here count from the IP header
_ACCEPT: Final = 0xFFFF_FFFF
_DROP: Final = 0
_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
_SOURCE_V4: Final = 12  # RFC 791 §3.1
_SOURCE_V6: Final = 8  # RFC 8200 §3

Instruction = tuple[int, int, int, int]
"""Operation, where to jump if true and if false (instructions to skip), operand."""


def program(sources: list[Source], *, v6: bool) -> list[Instruction]:
    """Accept everything but what comes from `sources` of that family; others are passed over."""
    code: list[Instruction] = []
    for source in sources:
        if (source.version == 6) == v6:
            code += _unless(source)
    return [*code, (_RETURN, 0, 0, _ACCEPT)]


def _unless(source: Source) -> list[Instruction]:
    """Drop if every word of the address is the source's; else go on behind."""
    first = _SOURCE_V6 if source.version == 6 else _SOURCE_V4
    words = struct.iter_unpack("!I", source.network_address.packed)
    masks = struct.iter_unpack("!I", source.netmask.packed)
    pairs = [(word, mask) for (word,), (mask,) in zip(words, masks, strict=True) if mask]
    code: list[Instruction] = []
    for place, (word, mask) in enumerate(pairs):
        left = 3 * (len(pairs) - place - 1) + 1  # what is behind this comparison, the return included
        code += [
            (_LOAD_WORD, 0, 0, _NETWORK_HEADER + first + 4 * place),
            (_AND, 0, 0, mask),
            (_JUMP_EQUAL, 0, left, word),
        ]
    return [*code, (_RETURN, 0, 0, _DROP)]


def set_filter(sock: socket.socket, sources: list[Source]) -> bool:
    """Drop what comes from the first `MAX_SOURCES` of `sources`, and nothing else; False if it cannot be."""
    try:
        if not sources:
            sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            return True
        code = program(sources[:MAX_SOURCES], v6=sock.family == socket.AF_INET6)
        packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
        held = ctypes.create_string_buffer(packed, len(packed))
        description = struct.pack("HP", len(code), ctypes.addressof(held))
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, description)
    except OSError:
        return not sources  # without a filter there is none to take off
    return True
