"""The short way to ordinary mobile numbers leads where the long one does."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scoring.numbers import Numbering, NumberKind

PLANS = [
    Numbering(cache_size=50),
    Numbering(short_codes=("10", "13800138000", "138001380001")),
    Numbering(region="DE", country_code="49"),
    Numbering(short_code_pattern=r"1\d{10}"),
    Numbering(carrier_prefixes="138"),
]
LOCAL = st.from_regex(r"1[0-9]{10}", fullmatch=True)
DIGITS = st.from_regex(r"[0-9]{1,15}", fullmatch=True)
DIALLED = st.builds(
    str.__add__, st.sampled_from(["", "+86", "86", "0086", "0", "+", "17951"]), LOCAL | DIGITS
)
SPELT = DIALLED | st.builds(str.__add__, DIALLED, st.sampled_from(["\n", " ", ";phone-context=+86", "-"]))


@pytest.mark.parametrize("plan", PLANS)
@given(user=SPELT | st.text(max_size=80))
@example(user="13800138000")
@example(user="+8613800138000")
@example(user="１３８００１３８０００")
def test_both_ways_agree(plan: Numbering, user: str) -> None:
    wanted = plan.of_user_at_length(user)
    if plan.is_plain(user):
        assert wanted.kind is NumberKind.E164 and not wanted.protected
    for _ in range(2):  # the second time from memory
        read = plan.of_user(user)
        assert (read, read.key, read.protected, read.raw) == (
            wanted,
            wanted.key,
            wanted.protected,
            wanted.raw,
        )


@given(st.from_regex(r"(\+86)?1[3-9][0-9]{9}", fullmatch=True))
def test_ordinary_mobile_numbers_are_read_alike(user: str) -> None:
    assert PLANS[0].of_user(user) == PLANS[0].of_user_at_length(user)
