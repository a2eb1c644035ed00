"""The state one transaction keeps."""

from __future__ import annotations

from engine.sip.effects import ClientKey, ServerKey
from engine.sip.flow import Flow
from engine.sip.machines import INVITE_CLIENT, Machine
from engine.sip.message import Request

# From tag, Call-ID, CSeq number, method (RFC 3261 §8.2.2.2).
MergeKey = tuple[str | None, str, int, str]
# Call-ID, our tag, CSeq number of the INVITE.
AckKey = tuple[str, str | None, int]


class ClientTransaction:
    """One request of ours. `data` is what retransmissions send."""

    __slots__ = ("absorbed", "cancel", "data", "flow", "interval_s", "key", "machine", "request", "state")

    def __init__(self, key: ClientKey, machine: Machine, request: Request, data: bytes, flow: Flow) -> None:
        self.key = key
        self.machine = machine
        self.state = machine.initial
        self.data = data
        self.flow = flow
        self.interval_s = 0.0
        # Only an INVITE is needed again, for its ACK or CANCEL.
        self.request = request if machine is INVITE_CLIENT else None
        # Once asked for; it waits for the first provisional response.
        self.cancel: Request | None = None
        # A CANCEL is the layer's own: its responses interest nobody.
        self.absorbed = key.method == "CANCEL"


class ServerTransaction:
    """One request of a peer. `data` is the last response sent, empty before the first."""

    __slots__ = (
        "ack_key",
        "data",
        "flow",
        "interval_s",
        "is_invite",
        "key",
        "machine",
        "merge_key",
        "state",
        "to_tag",
        "via",
    )

    def __init__(self, key: ServerKey, machine: Machine, flow: Flow, merge_key: MergeKey | None) -> None:
        self.key = key
        self.machine = machine
        self.state = machine.initial
        self.data = b""
        # Where responses go, which may differ from where the request came from.
        self.flow = flow
        self.interval_s = 0.0
        self.merge_key = merge_key
        self.ack_key: AckKey | None = None
        # Ours, once a response to an INVITE carried one: the answer to a CANCEL repeats it (§9.2).
        self.to_tag: str | None = None
        self.is_invite = key.method == "INVITE"
        # The INVITE's top Via as it came, where the gate has refused it: its ACK is known by that.
        self.via = b""


Transaction = ClientTransaction | ServerTransaction
