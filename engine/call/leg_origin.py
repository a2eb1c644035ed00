"""The `o=` line of our descriptions: one id a leg, versions that rise with the content (RFC 3264 §8)."""

from __future__ import annotations

import msgspec

from engine.call.wire import Wire
from engine.sdp import Origin, OwnAddresses, origin_place


class OwnOrigin(msgspec.Struct, eq=False, kw_only=True):
    """What a leg says of itself in descriptions, from the first offer on."""

    wire: Wire
    _session_id: int = 0
    _session_version: int = 0
    _described: bytes = b""
    """What our last description was made of."""

    def next_origin(self) -> Origin:
        """The origin for a new description of ours on this leg; its version rises each time."""
        if not self._session_id:
            self._session_id = self.wire.session_id()
        self._session_version += 1
        return Origin("-", self._session_id, self._session_version, self.wire.contact.host)

    def own(self, body: bytes, forbidden: OwnAddresses | None = None, *, hold: bool = True) -> bytes:
        """A description under this leg's own origin; the version rises only with the content.

        With `forbidden` no stream of it may end there, see `engine.sdp.check_targets`. Raises
        `engine.sdp.SdpError`.
        """
        if not body:
            return body
        begin, end = origin_place(body, forbidden, hold=hold)
        if body != self._described:
            if not self._session_id:
                self._session_id = self.wire.session_id()
            self._session_version += 1
            self._described = body
        line = b"o=- %d %d %b" % (self._session_id, self._session_version, self.wire.place)
        return body[:begin] + line + body[end:]
