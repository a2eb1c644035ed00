"""The INVITE that leaves: what a B2BUA must set, and nothing more.

Supported, Require, Allow, Session-Expires and Feature-Caps of the other leg are never copied.
"""

from __future__ import annotations

from engine.call.diversion import Diverted, history
from engine.call.identity import identities
from engine.call.legs import ALLOW, SDP_TYPE, Headers
from engine.call.values import Decision, Hop, PlaceCall
from engine.model.config import Address
from engine.sip.ids import IdSource
from engine.sip.message import Request
from engine.sip.messages import out_of_dialog
from engine.sip.uri import NameAddr, Uri

ANONYMOUS_HOST = "anonymous.invalid"  # RFC 3323 §4.1.1.3


def onward_invite(
    invite: Request,
    decision: Decision,
    hop: Hop,
    contact: str,
    ours: Address,
    ids: IdSource,
    body: bytes,
    diverted: tuple[Diverted, ...] = (),
) -> Request:
    """The caller's INVITE towards the callee, under our own identifiers and with the verdict's label.

    `contact` is the header's value, `ours` the host that From names.
    """
    incoming = invite.from_
    display = decision.label if decision.label is not None else incoming.display
    from_ = NameAddr(display, _our(hop.calling_user or incoming.uri.user, ours)).with_tag(ids.tag())
    target = _target(invite.uri, hop)
    headers: list[tuple[str, str]] = [("Allow", ALLOW)]
    if decision.pass_identity and hop.trusted:
        for asserted in identities(invite, "P-Asserted-Identity")[:2]:  # RFC 3325 §9.1: at most two
            if asserted.uri.host == ANONYMOUS_HOST:  # our edge's word for nobody
                continue
            if decision.label is not None:
                asserted = asserted.replace(display=decision.label)
            headers.append(("P-Asserted-Identity", str(asserted)))
        headers += history(invite, diverted, ours.host)
    privacy = invite.get("Privacy")
    if privacy:
        headers.append(("Privacy", privacy))
    if decision.label is not None and decision.redress:
        headers.append(("Call-Info", f"<{decision.redress}>;purpose=info"))
    if body:
        kind = invite.get("Content-Type") if decision.protected else None
        headers.append(("Content-Type", kind or SDP_TYPE))
    return out_of_dialog(
        "INVITE",
        target=target,
        from_=from_,
        to=NameAddr(None, target.replace(port=None)),
        call_id=ids.call_id(),
        contact=contact,
        max_forwards=invite.max_forwards - 1,
        headers=headers,
        body=body,
    )


def own_invite(
    place: PlaceCall,
    user: str,
    hop: Hop,
    contact: str,
    ids: IdSource,
    body: bytes,
    headers: Headers = (),
) -> Request:
    """An INVITE of a call that the engine places itself; From names the host of our Contact."""
    target = Uri("sip", user, hop.address.host, hop.address.port)
    host = NameAddr.parse(contact).uri.host
    return out_of_dialog(
        "INVITE",
        target=target,
        from_=NameAddr(None, Uri("sip", place.calling_user, host)).with_tag(ids.tag()),
        to=NameAddr(None, target.replace(port=None)),
        call_id=ids.call_id(),
        contact=contact,
        headers=[("Allow", ALLOW), ("Content-Type", SDP_TYPE), *headers],
        body=body,
    )


def referred_invite(
    calling: str,
    called: str,
    hop: Hop,
    contact: str,
    ours: Address,
    ids: IdSource,
    body: bytes,
    *,
    replaces: str = "",
    referred_by: str = "",
    display: str | None = None,
) -> Request:
    """The INVITE that a REFER asks for; `replaces` names a dialog that is not ours (RFC 3891 §4)."""
    target = Uri("sip", hop.called_user or called, hop.address.host, hop.address.port)
    headers = [("Allow", ALLOW), ("Content-Type", SDP_TYPE)]
    if replaces:
        headers += [("Replaces", replaces), ("Require", "replaces")]
    if referred_by and referred_by.isprintable():
        headers.append(("Referred-By", referred_by))
    return out_of_dialog(
        "INVITE",
        target=target,
        from_=NameAddr(display, _our(hop.calling_user or calling, ours)).with_tag(ids.tag()),
        to=NameAddr(None, target.replace(port=None)),
        call_id=ids.call_id(),
        contact=contact,
        headers=headers,
        body=body,
    )


def _our(user: str | None, ours: Address) -> Uri:
    user = user or "anonymous"
    host = ANONYMOUS_HOST if user == "anonymous" else ours.host
    return Uri("sip", user, host)


def _target(uri: Uri, hop: Hop) -> Uri:
    if uri.scheme in ("sip", "sips", "tel"):
        return Uri("sip", hop.called_user or uri.user, hop.address.host, hop.address.port)
    return uri  # urn:service:sos goes on as it is
