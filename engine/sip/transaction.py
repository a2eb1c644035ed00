"""The state one transaction keeps."""

from __future__ import annotations

import msgspec

from engine.sip.effects import ClientKey, Send, ServerKey
from engine.sip.flow import Flow
from engine.sip.machines import Machine, State
from engine.sip.message import Request

# From tag, Call-ID, CSeq number, method (RFC 3261 §8.2.2.2).
MergeKey = tuple[str | None, str, int, str]
# Call-ID, our tag, CSeq number of the INVITE.
AckKey = tuple[str, str | None, int]


class ClientTransaction(msgspec.Struct, eq=False):
    """One request of ours. `data` is what retransmissions send."""

    key: ClientKey
    machine: Machine
    state: State
    data: bytes
    flow: Flow
    request: Request | None = None
    """The TU's, without Via: only an INVITE is needed again, for its ACK or CANCEL."""
    via: str = ""
    """… and so is our Via on top of it."""
    absorbed: bool = False
    """A CANCEL is the layer's own: its responses interest nobody."""
    cancel: bytes = b""
    """Once asked for; it waits for the first provisional response."""
    acks: dict[str, Send] | None = None
    """What acknowledged its 2xx, by their To tags: each of them may come again until timer M."""
    interval_s: float = 0.0


class ServerTransaction(msgspec.Struct, eq=False):
    """One request of a peer. `data` is the last response sent, empty before the first."""

    key: ServerKey
    machine: Machine
    state: State
    flow: Flow
    """Where responses go, which may differ from where the request came from."""
    merge_key: MergeKey | None = None
    data: bytes = b""
    interval_s: float = 0.0
    ack_key: AckKey | None = None
    to_tag: str | None = None
    """Ours, once a response to an INVITE carried one: the answer to a CANCEL repeats it (§9.2)."""
    via: bytes = b""
    """The INVITE's top Via as it came, where the gate has refused it: its ACK is known by that."""


Transaction = ClientTransaction | ServerTransaction
