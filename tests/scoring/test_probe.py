"""The short way to a number and its entry leads where the long one does."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scoring.numbers import HotEntry, Level, Number, Numbering, Precedence
from scoring.numbers.probe import Probe

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Echo:
    """A table that lists every number that can be listed, under its own key."""

    def lookup(self, tenant: str, number: Number, at: datetime) -> HotEntry | None:
        assert (tenant, at) == ("lab", AT)
        if not number.key:
            return None
        return HotEntry(Level.RED, None, None, "fraud", number.key, False, True, Precedence.PERMANENT)


PLANS = [
    Numbering(),
    Numbering(short_codes=("10", "13800138000", "138001380001")),
    Numbering(region="DE", country_code="49"),
    Numbering(short_code_pattern=r"1\d{10}"),
    Numbering(carrier_prefixes="138"),
]
PROBES = [Probe(plan, Echo(), "lab", remembered=50) for plan in PLANS]

LOCAL = st.from_regex(rb"1[0-9]{10}", fullmatch=True)
DIGITS = st.from_regex(rb"[0-9]{1,15}", fullmatch=True)
DIALLED = st.builds(
    bytes.__add__, st.sampled_from([b"", b"+86", b"86", b"0086", b"0", b"+", b"17951"]), LOCAL | DIGITS
)
SPELT = DIALLED | st.builds(
    bytes.__add__, DIALLED, st.sampled_from([b"\n", b" ", b";phone-context=+86", b"-"])
)


@pytest.mark.parametrize("place", range(len(PLANS)))
@given(SPELT | st.binary(max_size=80))
@example(b"13800138000")
@example(b"+8613800138000")
@example("１３８００１３８０００".encode())
def test_a_probe_reads_what_the_numbering_reads(place: int, user: bytes) -> None:
    numbering, probe = PLANS[place], PROBES[place]
    wanted = numbering.of_user(user.decode("utf-8", "replace"))
    for _ in range(2):  # the second time from memory
        read = probe.number(user)
        assert (read, read.key, read.protected, read.raw) == (
            wanted,
            wanted.key,
            wanted.protected,
            wanted.raw,
        )
    assert probe.probe(user, AT) == Echo().lookup("lab", wanted, AT)


@given(st.from_regex(rb"(\+86)?1[3-9][0-9]{9}", fullmatch=True))
def test_ordinary_mobile_numbers_are_read_alike(user: bytes) -> None:
    assert PROBES[0].number(user) == PLANS[0].of_user(user.decode())
