"""The `o=` line of our descriptions: one id a leg, versions that rise with the content (RFC 3264 §8)."""

from __future__ import annotations

from engine.call.wire import Wire
from engine.sdp import Origin, rewrite_origin


class OwnOrigin:
    """What a leg says of itself in descriptions, from the first offer on."""

    __slots__ = ("_described", "_session_id", "_session_version", "wire")

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._session_id = 0
        self._session_version = 0
        self._described = b""
        """What our last description was made of."""

    def next_origin(self) -> Origin:
        """The origin for a new description of ours on this leg; its version rises each time."""
        if not self._session_id:
            self._session_id = self.wire.session_id()
        self._session_version += 1
        return self._origin()

    def own(self, body: bytes) -> bytes:
        """A description under this leg's own origin; the version rises only with the content.

        Raises `engine.sdp.SdpError`.
        """
        if not body:
            return body
        if body == self._described:
            return rewrite_origin(body, self._origin())
        owned = rewrite_origin(body, self.next_origin())
        self._described = body
        return owned

    def _origin(self) -> Origin:
        return Origin("-", self._session_id, self._session_version, self.wire.contact.host)
