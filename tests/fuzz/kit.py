"""Targets that take any bytes, and hypothesis' way of making bytes for them."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

CUT = b"\x1e"
"""Separates the messages of a sequence: it stands in no valid one."""
NUMBERS = (
    b"-1",
    b"0",
    b"00",
    b"65535",
    b"65536",
    b"4294967296",
    b"9" * 30,
    b"9" * 5000,
    b"1e9",
    "٣".encode(),
)
_DIGITS = re.compile(rb"[0-9]+")


@dataclass(frozen=True, slots=True)
class Target:
    """One input path. `check` may raise for no bytes at all: what it asserts is what the path promises."""

    name: str
    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    """Valid samples, which are damaged."""
    tokens: tuple[bytes, ...] = ()
    """What the grammar is made of, put in where it does not belong."""


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Damaged samples for the most part, two joined into one, and bytes without any sense."""
    tokens = st.sampled_from(target.tokens or (b"\x00",)) | st.binary(max_size=4)
    sample = st.sampled_from(target.seeds)

    @st.composite
    def damaged(draw: st.DrawFn) -> bytes:
        data = bytearray(draw(sample))
        for _ in range(draw(st.integers(1, 6))):
            start = draw(st.integers(0, len(data)))
            match draw(st.integers(0, 5)):
                case 0:
                    data[start:start] = draw(tokens)
                case 1:
                    data[start : start + draw(st.integers(1, 60))] = draw(tokens)
                case 2:  # a piece twice
                    piece = data[start : start + draw(st.integers(1, 60))]
                    data[start:start] = piece * draw(st.sampled_from([1, 2, 40]))
                case 3:  # a number of another size
                    found = list(_DIGITS.finditer(data))
                    if found:
                        where = found[start % len(found)]
                        data[where.start() : where.end()] = draw(st.sampled_from(NUMBERS))
                case 4:  # the end of another
                    other = draw(sample)
                    data[start:] = other[draw(st.integers(0, len(other))) :]
                case _:
                    del data[start:]
        return bytes(data)

    return damaged() | damaged() | damaged() | st.binary(max_size=200) | sample


def run(target: Target, seconds: float, first_seed: int = 0, batch: int = 150) -> int:
    """Check inputs for that long, a batch at least. Returns how many; fails with the smallest that does.

    The same seed makes the same inputs in the same order.
    """
    ends = time.monotonic() + seconds
    done = 0

    def one(data: bytes) -> None:
        nonlocal done
        done += 1
        target.check(data)

    number = first_seed
    while True:
        limits = settings(
            max_examples=batch,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        seed(number)(limits(given(inputs(target))(one)))()
        number += 1
        if time.monotonic() >= ends:
            return done


def safe_message(data: bytes) -> None:
    """What we send as SIP: no line end but between rows, no NUL but behind a backslash (RFC 3261 §25.1)."""
    head, end, _ = data.partition(b"\r\n\r\n")
    assert end, data
    for line in head.split(b"\r\n"):
        assert b"\r" not in line and b"\n" not in line, line
        assert line, head
        # Our answers repeat rows of requests that could not be read, but never a control character of them.
        assert re.search(rb"(?<!\\)\x00", line) is None, line


def numbers(data: bytes, layout: str) -> tuple[Sequence[int], bytes]:
    """Small integers off the front of an input, zeros where it is too short, and the rest."""
    size = struct.calcsize(layout)
    return struct.unpack(layout, data[:size].ljust(size, b"\0")), data[size:]
