"""What is remembered of texts that peers choose takes little memory, however long they are."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from engine.sdp import SdpError
from engine.sdp.addresses import literal
from engine.sip.errors import RemoteProtocolError
from engine.sip.parse import parse
from engine.sip.uri import NameAddr, Uri

MANY = 1_500


def grown_bytes(remember: list[str]) -> int:
    tracemalloc.start()
    for text in remember:
        NameAddr.parse(text)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size


def test_long_name_addrs_are_read_and_forgotten() -> None:
    texts = [f'"{number}" <sip:a@b>;x={"y" * 8_000}' for number in range(MANY)]
    assert grown_bytes(texts) < 1_000_000


def test_no_host_is_longer_than_a_domain_name() -> None:
    host = ".".join(["a" * 60] * 4)
    assert Uri.parse(f"sip:{host}").host == host
    with pytest.raises(RemoteProtocolError):
        Uri.parse(f"sip:{host}.{host}")
    with pytest.raises(SdpError):
        literal(f"{host}.{host}")


def held_after(rows: Callable[[int], str]) -> int:
    """Bytes that are held when answers with many different rows have been read."""
    head = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\n"
    tracemalloc.start()
    for number in range(MANY):
        parse(f"{head}Call-ID: 1\r\n{rows(number)}\r\n\r\n".encode())
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size


def test_odd_header_names_fill_no_memory() -> None:
    assert held_after(lambda number: f"CSeq: 1 INVITE\r\nX{number}{'y' * 7_000}: z") < 6_000_000


def test_long_methods_of_responses_fill_no_memory() -> None:
    assert held_after(lambda number: f"CSeq: {number} {'X' * 20_000}") < 15_000_000
