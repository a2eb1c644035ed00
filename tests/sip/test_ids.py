"""Ids nobody can guess: all different, each with as many digits of its own as its kind has."""

from __future__ import annotations

import re

from engine.sip.grammar import TOKEN
from engine.sip.ids import HashedIds

MANY = 500


def drawn(seed: bytes) -> list[list[str]]:
    ids = HashedIds(seed)
    return [[kind() for _ in range(MANY)] for kind in (ids.branch, ids.tag, ids.call_id, ids.token)]


def test_ids_have_their_digits() -> None:
    for kind, pattern in zip(
        drawn(b"s" * 32),
        (r"z9hG4bK[0-9a-f]{24}", r"[0-9a-f]{16}", r"[0-9a-f]{32}", r"[0-9a-f]{24}"),
        strict=True,
    ):
        assert all(re.fullmatch(pattern, each) and TOKEN.fullmatch(each) for each in kind)


def test_no_two_ids_begin_or_end_alike() -> None:
    each = [one.removeprefix("z9hG4bK") for kind in drawn(b"s" * 32) for one in kind]
    assert len({one[:16] for one in each}) == len({one[-16:] for one in each}) == len(each) == 4 * MANY


def test_another_seed_gives_other_ids() -> None:
    ours, others = drawn(b"s" * 32), drawn(b"t" * 32)
    assert {one for kind in ours for one in kind}.isdisjoint(one for kind in others for one in kind)
    assert drawn(b"s" * 32) == ours
