"""All who wait for the next moment wait for the same one."""

from hypothesis import given
from hypothesis import strategies as st

from engine.model.moments import next_moment


@given(st.floats(0, 1e7), st.sampled_from((0.25, 0.5, 1.0)))
def test_it_is_within_one_period_and_on_the_common_grid(now: float, every_s: float) -> None:
    at = next_moment(now, every_s)
    assert now < at <= now + every_s
    assert at % every_s == 0
