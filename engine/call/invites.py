"""The INVITE that leaves: what a B2BUA must set, and nothing more.

Supported, Require, Allow, Session-Expires and Feature-Caps of the other leg are never copied; of the last
only that the caller knows 608 is said again.
"""

from __future__ import annotations

from typing import Final

from engine.call.admission import knows_608
from engine.call.diversion import Diverted, history
from engine.call.identity import caller_of, identities
from engine.call.legs import SDP_TYPE, Headers, OutgoingLeg
from engine.call.values import Decision, Hop, PlaceCall
from engine.sip.grammar import quote_string
from engine.sip.message import Request
from engine.sip.salvage import hops_onward
from engine.sip.uri import sip_uri

ANONYMOUS_HOST: Final = "anonymous.invalid"  # RFC 3323 §4.1.1.3
_NUMBERS: Final = ("sip", "sips", "tel")


def onward_invite(
    leg: OutgoingLeg,
    invite: Request,
    decision: Decision,
    hop: Hop,
    body: bytes,
    diverted: tuple[Diverted, ...] = (),
) -> None:
    """Send the caller's INVITE towards the callee, under our own identifiers and with the verdict's label."""
    display, calling = caller_of(invite)
    headers: list[tuple[str, str]] = []
    if decision.pass_identity and hop.trusted:
        for asserted in identities(invite, "P-Asserted-Identity")[:2]:  # RFC 3325 §9.1: at most two
            if asserted.uri.host == ANONYMOUS_HOST:  # our edge's word for nobody
                continue
            if decision.label is not None:
                asserted = asserted.replace(display=decision.label)
            headers.append(("P-Asserted-Identity", str(asserted)))
        headers += history(invite, diverted, leg.wire.contact.host)
    if "Privacy" in invite.first and (privacy := invite.get("Privacy")):
        headers.append(("Privacy", privacy))
    if "Feature-Caps" in invite.first and knows_608(invite):
        # The 608 of somebody further on goes back to him, with its Call-Info (RFC 8688 §3.4).
        headers.append(("Feature-Caps", "*;+sip.608"))
    if decision.label is not None and decision.redress:
        headers.append(("Call-Info", f"<{decision.redress}>;purpose=info"))
    kind = SDP_TYPE
    if decision.protected:
        kind = invite.get("Content-Type") or kind
    uri = invite.uri
    if uri.scheme in _NUMBERS:
        asked, port = sip_uri(hop.called_user or uri.user, hop.address.host), hop.address.port
    else:
        asked, port = str(uri), 0  # urn:service:sos goes on as it is
    if decision.label is not None:
        display = decision.label
    from_ = _from(display, hop.calling_user or calling, leg)
    hops = hops_onward(invite.max_forwards)
    leg.call(asked, from_, body, headers, port=port, kind=kind, max_forwards=hops)


def own_invite(
    leg: OutgoingLeg, place: PlaceCall, user: str, hop: Hop, body: bytes, headers: Headers = ()
) -> None:
    """Send an INVITE of a call that the engine places itself; From names the host of our Contact."""
    from_ = f"<{sip_uri(place.calling_user, leg.flow.local[0])}>"
    leg.call(sip_uri(user, hop.address.host), from_, body, headers, port=hop.address.port)


def referred_invite(
    leg: OutgoingLeg,
    calling: str,
    called: str,
    hop: Hop,
    body: bytes,
    *,
    replaces: str = "",
    referred_by: str = "",
    display: str | None = None,
) -> None:
    """Send the INVITE that a REFER asks for; `replaces` names a dialog that is not ours (RFC 3891 §4)."""
    headers: list[tuple[str, str]] = []
    if replaces:
        headers += [("Replaces", replaces), ("Require", "replaces")]
    if referred_by and referred_by.isprintable():
        headers.append(("Referred-By", referred_by))
    from_ = _from(display, hop.calling_user or calling, leg)
    asked = sip_uri(hop.called_user or called, hop.address.host)
    leg.call(asked, from_, body, headers, port=hop.address.port)


def _from(display: str | None, user: str | None, leg: OutgoingLeg) -> str:
    user = user or "anonymous"
    host = ANONYMOUS_HOST if user == "anonymous" else leg.wire.contact.host
    address = f"<{sip_uri(user, host)}>"
    return address if display is None else f"{quote_string(display)} {address}"
