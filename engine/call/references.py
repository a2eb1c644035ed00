"""Whom a REFER is about: the question to screening, and the call that its Replaces names (RFC 3891)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from engine.call.legs import Leg
from engine.call.table import State
from engine.call.values import ScreeningRequest

if TYPE_CHECKING:
    from engine.call.call import Call
    from engine.call.transfer import Transfer


def question(call: Call, transfer: Transfer, trunk: str) -> ScreeningRequest:
    """The call of who stays to the target, diverted by the referrer, as a call that comes by `trunk`."""
    asked = call.asked
    assert asked is not None
    calls = transfer.remaining is call.caller
    known = calls and trunk == transfer.remaining.trunk
    return structs.replace(
        asked,
        trunk=trunk,
        calling=asked.calling if calls else asked.called,
        called=transfer.number,
        request_uri=transfer.uri,
        display=asked.display if known else "",
        asserted=asked.asserted if known else None,
        diversion=(asked.called if calls else asked.calling,),
    )


def consulted(call: Call, transfer: Transfer) -> tuple[Call, Leg] | None:
    """The referrer's other call and its other side; None where that is none of ours, or busy."""
    replaces = transfer.replaces
    found = call.find(replaces.call_id, replaces.to_tag, replaces.from_tag) if replaces is not None else None
    if found is None:
        return None
    other, theirs = found
    leg = other.other(theirs)
    usable = other is not call and other.state is State.CONNECTED and not other.busy and not other.plan.agent
    if not usable or leg is None or not leg.accepted or leg.negotiating or theirs.trunk != transfer.trunk:
        return None
    return other, leg
