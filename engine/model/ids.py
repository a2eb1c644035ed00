"""Identifiers. Distinct ids are distinct types, so that one cannot be passed for another."""

from __future__ import annotations

from typing import NewType

import msgspec

TenantId = NewType("TenantId", str)
CallId = NewType("CallId", str)
"""One B2BUA call. Not a SIP Call-ID: each leg of the call has its own of those."""
CaseId = NewType("CaseId", str)
"""One victim's episode in one tenant; ties calls, popups, leads and recordings together."""
NumberId = NewType("NumberId", str)
"""Keyed hash of a number: safe in topics, logs, chains and exports."""
SessionId = NewType("SessionId", str)
"""One media session in a media worker."""
PlaybackId = NewType("PlaybackId", str)
RecordingId = NewType("RecordingId", str)
CommandId = NewType("CommandId", str)


class EventId(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """Where and when an event was made: unique for ever, ordered within one boot of one node."""

    node: str
    boot: int
    seq: int

    def __str__(self) -> str:
        return f"{self.node}.{self.boot}.{self.seq}"
