"""Referred-By (RFC 3892): who handed a call on, in whose words."""

from __future__ import annotations

import pytest
from msgspec import structs

from tests.call.kit import ENGINE, NUMBER, TRUNKS, Lab
from tests.call.test_transfer import TARGET, answer_notifies, done, refer, routed

BANK = '"Your bank" <sip:95588@bank.example>'
KNOWN = {"caller": f"<sip:+8613800000001@{ENGINE[0]}>", "callee": f"<sip:{NUMBER}@{ENGINE[0]}>"}
"""Both sides by the numbers that screening was asked about."""


def named(who: str, stated: str, *, trusted: bool) -> str | None:
    """What the target reads, where the REFER said `stated`."""
    trunks = {
        name: structs.replace(trunk, refer=True, trusted_identity=trusted) for name, trunk in TRUNKS.items()
    }
    lab = Lab(trunks=trunks)
    lab.decide = routed
    caller, called = lab.connect()
    side, peer = (caller, lab.phone) if who == "caller" else (called, lab.carrier)
    refer(side, f"<sip:{TARGET}@example.org>", ("Referred-By", stated))
    found = peer.calls[-1].invite.request.get("Referred-By")
    answer_notifies(lab, side)
    done(lab)
    return found


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_stranger_is_named_by_the_number_that_was_screened(who: str) -> None:
    assert named(who, BANK, trusted=False) == KNOWN[who]


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_trusted_trunk_s_word_passes(who: str) -> None:
    assert named(who, BANK, trusted=True) == BANK
    assert named(who, f"{BANK};x=1", trusted=True) == f"{BANK};x=1"


def test_a_token_that_does_not_come_along_is_not_named() -> None:
    """RFC 3892 §2.3: a target refuses an INVITE whose token it cannot find."""
    assert named("callee", f'{BANK};cid="2@bank.example"', trusted=True) == BANK


@pytest.mark.parametrize("stated", ["<sip:", "bank", f"{BANK}, {BANK}"])
def test_what_cannot_be_read_is_nobody_s_word(stated: str) -> None:
    assert named("callee", stated, trusted=True) == KNOWN["callee"]


@pytest.mark.parametrize("trusted", [True, False])
def test_who_does_not_name_himself_is_not_named(trusted: bool) -> None:
    assert named("callee", "", trusted=trusted) is None
