"""Forms of the configuration's values."""

from __future__ import annotations

import pytest

from engine.model.address import Address, PortRange


@pytest.mark.parametrize("text", ["127.0.20.1:5060", "[::1]:5060", "sip.example:0", "[2001:db8::1]:65535"])
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize("text", ["::1:5060", "host", "host:", ":5060", "host:65536", "host:+5", "a b:5060"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected host:port"):
        Address.parse(text)


def test_a_port_range_is_written_as_it_is_read() -> None:
    assert str(PortRange.parse("20000-29999")) == "20000-29999"
    for text in ("20000", "0-5", "9-9", "10-9", "1-65536", "20000 - 29999"):
        with pytest.raises(ValueError, match="expected low-high"):
            PortRange.parse(text)
