"""What a top Via says: the transaction its message belongs to, and where responses go (RFC 3261 §17, §18)."""

from __future__ import annotations

from hashlib import blake2s

from engine.sip.effects import ServerKey
from engine.sip.flow import DEFAULT_PORT, Flow
from engine.sip.message import Request
from engine.sip.via import MAGIC_COOKIE, Via


def server_key(request: Request, via: Via) -> ServerKey:
    """RFC 3261 §17.2.3; an ACK gets the key of its INVITE."""
    method = "INVITE" if request.method == "ACK" else request.method
    branch = via.params.get("branch") or ""
    if not branch.startswith(MAGIC_COOKIE) or branch == MAGIC_COOKIE:
        # RFC 2543 matching: Request-URI, From tag, Call-ID, CSeq number and the whole top Via.
        parts = (
            str(request.request_uri),
            request.from_tag or "",
            request.call_id,
            str(request.cseq.number),
            str(via),
        )
        branch = blake2s("\0".join(parts).encode(), digest_size=16).hexdigest()
    return ServerKey(branch, (via.host, via.port or DEFAULT_PORT), method)


def reply_flow(flow: Flow, port: int, *, asks_rport: bool) -> Flow:
    """Where responses go: to the source if its Via asked by rport, else to that `port` (RFC 3261 §18.2.2).

    maddr is not obeyed: it would let anyone aim our answers at a third party.
    """
    if port == flow.remote[1] or flow.transport != "udp" or asks_rport:
        return flow
    return Flow(flow.transport, flow.local, (flow.remote[0], port))


def reply_by(via: Via, flow: Flow) -> Flow:
    """The same of a parsed Via."""
    if flow.transport != "udp" or via.port == flow.remote[1] or "rport" in via.params:
        return flow
    return reply_flow(flow, via.port or DEFAULT_PORT, asks_rport=False)
