"""RFC 4961 and no RTP bleed."""

from __future__ import annotations

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
