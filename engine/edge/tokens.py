"""Flow tokens (RFC 5626 §5.2): the user part of our Record-Route, by which requests find their phone.

Signed, so that only who was given one can have a request sent along that flow.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

import msgspec

from engine.sip.flow import Flow

_SIGNATURE_BYTES: Final = 12
_MOST_CHARS: Final = 256


class _Content(msgspec.Struct, frozen=True, array_like=True):
    flow: tuple[str, tuple[str, int], tuple[str, int]]
    serial: int


class FlowTokens:
    """Writes and reads tokens. `serial` tells connections apart that had the same two ends; 0 for UDP."""

    def __init__(self, key: bytes) -> None:
        self._key = key[:64]

    def make(self, flow: Flow, serial: int) -> str:
        content = msgspec.msgpack.encode(_Content((flow.transport, flow.local, flow.remote), serial))
        return urlsafe_b64encode(self._sign(content) + content).decode().rstrip("=")

    def read(self, token: str) -> tuple[Flow, int] | None:
        """The flow and its serial, or None for what we did not write."""
        if len(token) > _MOST_CHARS or not token.isascii():
            return None
        try:
            data = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            signature, content = data[:_SIGNATURE_BYTES], data[_SIGNATURE_BYTES:]
            if not compare_digest(signature, self._sign(content)):
                return None
            found = msgspec.msgpack.decode(content, type=_Content)
        except (ValueError, msgspec.MsgspecError):
            return None
        return Flow(*found.flow), found.serial

    def _sign(self, content: bytes) -> bytes:
        return blake2b(content, digest_size=_SIGNATURE_BYTES, key=self._key, person=b"flow").digest()
