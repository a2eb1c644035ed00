"""Moments that all of a process share: what is looked at again and again wakes it up once for everything."""

import math


def next_moment(now: float, every_s: float) -> float:
    """The next whole multiple of `every_s`, later than `now`; for periods that have a common measure."""
    return (math.floor(now / every_s) + 1) * every_s
