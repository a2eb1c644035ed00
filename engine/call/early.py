"""Early dialogs of one INVITE of ours, one for each callee that a fork reached (RFC 3261 §12.1.2)."""

from __future__ import annotations

from typing import Final

import msgspec

from engine.call.reliable import in_order
from engine.sip.dialog import Dialog
from engine.sip.message import Response

MAX_EARLY: Final = 16
"""More callees than that ring unheard: what they answer counts, what they say before does not.

And to no more who answer too late is BYE said.
"""


class Early(msgspec.Struct, eq=False):
    """One of them."""

    response: Response
    """The first that was heard in it."""
    dialog: Dialog | None = None
    """Made when something is sent or received in it."""
    rseq: int = 0
    """Of the last reliable response taken; 0 where there was none."""
    dropped: bool = False
    """Its 2xx came after that of another one: it has been told BYE."""
    described: bytes = b""
    """The peer's last description that counts: from a reliable response, or an UPDATE since."""

    def takes(self, rseq: int) -> bool:
        """Whether a reliable response is the next in order; it counts as taken then (RFC 3262 §4)."""
        if not in_order(self.rseq, rseq):
            return False
        self.rseq = rseq
        return True
