"""The filter's program, run as the kernel would; tests/wire has the kernel run it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.bpf import Source, program

addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
networks = st.builds(
    lambda address, bits: ip_network((address, bits if address.version == 4 else 4 * bits), strict=False),
    addresses,
    st.integers(1, 32),
)


def accepts(sources: list[Source], sender: IPv4Address | IPv6Address) -> bool:
    """Interpret the instructions on the header of a datagram from there."""
    v6 = sender.version == 6
    header = bytes(8 if v6 else 12) + sender.packed
    code = program(sources, v6=v6)
    at, word = 0, 0
    while True:
        operation, if_true, if_false, operand = code[at]
        at += 1
        if operation == 0x20:
            offset = operand - 0xFFF0_0000
            word = int.from_bytes(header[offset : offset + 4], "big")
        elif operation == 0x54:
            word &= operand
        elif operation == 0x15:
            at += if_true if word == operand else if_false
        else:
            assert operation == 0x06
            return operand != 0


@given(st.lists(networks, max_size=8), addresses)
def test_it_drops_what_comes_from_the_sources_and_nothing_else(
    sources: list[Source], sender: IPv4Address | IPv6Address
) -> None:
    assert accepts(sources, sender) == (not any(sender in source for source in sources))


@given(st.lists(networks, min_size=1, max_size=8), st.data())
def test_every_source_is_dropped(sources: list[Source], data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(sources))
    last = int(source.network_address) + source.num_addresses - 1
    for number in (int(source.network_address), last):
        assert not accepts(sources, ip_address(number.to_bytes(source.max_prefixlen // 8, "big")))
