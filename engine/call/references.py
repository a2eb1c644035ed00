"""Whom a REFER is about: the question to screening, the call that its Replaces names, and who sent it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from engine.call.legs import Leg
from engine.call.table import State
from engine.call.values import ScreeningRequest
from engine.sip.errors import RemoteProtocolError
from engine.sip.uri import NameAddr, Uri

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


def referred_by(call: Call, leg: Leg, stated: str) -> str:
    """Referred-By of the INVITE that this leg's REFER asks for; empty where the REFER had none.

    RFC 3892 §2.2 has it copied unchanged, which lets anybody hand a victim on in the name of a bank. So only
    whose identity is believed anyway (RFC 3325) names himself; others are named by the number that screening
    knows them by. A token (`cid`) does not come along.
    """
    asked = call.asked
    assert asked is not None
    section = call.trunks.get(leg.trunk)
    if not stated:
        return ""
    if section is not None and section.trusted_identity:
        try:
            named = NameAddr.parse(stated)
            return str(named if "cid" not in named.params else NameAddr(named.display, named.uri))
        except RemoteProtocolError:
            pass
    number = asked.calling if leg is call.caller else asked.called
    return f"<{Uri('sip', number, call.settings.contact.host)}>" if number else ""


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
