"""Replaces: the dialog that a call is to take the place of (RFC 3891)."""

from __future__ import annotations

import msgspec

from engine.sip.errors import RemoteProtocolError
from engine.sip.grammar import TOKEN, parse_params


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
        call_id = call_id.strip(" \t")
        params = parse_params(semicolon + rest)
        to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
        # As a header of a URI it may bring any character, escaped; it goes on in an INVITE of ours.
        if not call_id or " " in call_id or not call_id.isprintable():
            raise RemoteProtocolError("malformed Replaces")
        if not (to_tag and TOKEN.fullmatch(to_tag) and from_tag and TOKEN.fullmatch(from_tag)):
            raise RemoteProtocolError("malformed Replaces")
        return cls(call_id, to_tag, from_tag, "early-only" in params)

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"
