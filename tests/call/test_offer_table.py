"""The table of the peer's offers is complete, and says what the RFCs do where it matters most."""

from __future__ import annotations

from itertools import product

import pytest

from engine.call.offer_table import TABLE, Given, Ruling, Standing


def test_each_pair_is_in_the_table() -> None:
    assert set(TABLE) == set(product(Standing, Given))


@pytest.mark.parametrize("given", [Given.INVITE, Given.UPDATE, Given.BARE, Given.PRACK])
def test_what_comes_alone_is_taken(given: Given) -> None:
    assert TABLE[Standing.SETTLED, given] is Ruling.TAKE


@pytest.mark.parametrize("given", Given)
def test_there_is_never_a_second_one_of_theirs(given: Given) -> None:
    assert TABLE[Standing.THEIRS, given] in (Ruling.LATER, Ruling.BUSY)


@pytest.mark.parametrize("given", [Given.INVITE, Given.UPDATE, Given.PRACK])
def test_an_offer_that_meets_ours_is_a_glare(given: Given) -> None:
    assert TABLE[Standing.OURS, given] is Ruling.GLARE
