"""Replaces: the dialog that a call is to take the place of (RFC 3891)."""

from __future__ import annotations

import msgspec

from engine.sip.errors import RemoteProtocolError
from engine.sip.grammar import parse_params


class Replaces(msgspec.Struct, frozen=True):
    """Names a dialog as its receiver knows it: `to_tag` is the receiver's own."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False
    """Only where nobody has answered yet (§3)."""

    @classmethod
    def parse(cls, text: str) -> Replaces:
        """RemoteProtocolError(400) when the value is malformed or lacks a tag."""
        call_id, semicolon, rest = text.partition(";")
        params = parse_params(semicolon + rest)
        to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
        if not call_id.strip(" \t") or not to_tag or not from_tag:
            raise RemoteProtocolError("malformed Replaces")
        return cls(call_id.strip(" \t"), to_tag, from_tag, "early-only" in params)

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"
