"""RFC 4961 and no RTP bleed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.rtp.source import SourceLock

PHONE = ("192.0.2.1", 4000)
PHONE_BEHIND_NAT = ("192.0.2.1", 61_000)
STRANGER = ("198.51.100.9", 4000)


def test_the_phone_named_in_the_sdp_is_heard_and_answered() -> None:
    lock = SourceLock(PHONE)
    assert lock.target == PHONE
    assert lock.admit(PHONE)
    assert not lock.admit(STRANGER)


def test_another_port_of_the_same_host_locks_once() -> None:
    lock = SourceLock(PHONE)
    assert lock.admit(PHONE_BEHIND_NAT)
    assert lock.target == PHONE_BEHIND_NAT
    assert not lock.admit(("192.0.2.1", 61_002))


def test_a_stranger_never_locks() -> None:
    lock = SourceLock(PHONE)
    assert not lock.admit(STRANGER)
    assert lock.locked is None


def test_the_phone_itself_takes_the_lock_back() -> None:
    lock = SourceLock(PHONE)
    assert lock.admit(PHONE_BEHIND_NAT)
    assert lock.admit(PHONE)
    assert not lock.admit(PHONE_BEHIND_NAT)
    assert lock.target == PHONE


def test_a_new_offer_opens_the_lock_for_a_phone_that_moved() -> None:
    lock = SourceLock(PHONE)
    assert lock.admit(PHONE_BEHIND_NAT)
    lock.reopen(PHONE)
    assert lock.target == PHONE_BEHIND_NAT
    assert lock.admit(("192.0.2.1", 61_002))
    assert lock.target == ("192.0.2.1", 61_002)
    assert not lock.admit(("192.0.2.1", 61_004))
    assert not lock.admit(STRANGER)


def test_after_a_new_offer_the_old_place_comes_before_newcomers() -> None:
    lock = SourceLock(PHONE)
    assert lock.admit(PHONE_BEHIND_NAT)
    lock.reopen(PHONE)
    assert lock.admit(("192.0.2.1", 61_002))
    assert lock.admit(PHONE_BEHIND_NAT)
    assert not lock.admit(("192.0.2.1", 61_002))


def test_a_new_address_leaves_the_old_one_behind() -> None:
    lock = SourceLock(PHONE)
    assert lock.admit(PHONE)
    moved = ("203.0.113.5", 5000)
    lock.reopen(moved)
    assert lock.target == moved
    assert not lock.admit(PHONE)
    assert lock.admit(moved)


ADDRESSES = st.sampled_from(
    [PHONE, PHONE_BEHIND_NAT, ("192.0.2.1", 61_002), STRANGER, ("198.51.100.9", 61_000)]
)


@given(st.lists(ADDRESSES | st.none()))
def test_no_order_of_packets_and_offers_lets_a_stranger_in(order: list[tuple[str, int] | None]) -> None:
    """None: the same description again."""
    lock = SourceLock(PHONE)
    for source in order:
        if source is None:
            lock.reopen(PHONE)
        elif lock.admit(source):
            assert source[0] == PHONE[0]
            assert lock.target == source
        assert lock.target[0] == PHONE[0]
    assert lock.admit(PHONE)
