"""Early dialogs of one INVITE of ours, one for each callee that a fork reached (RFC 3261 §12.1.2)."""

from __future__ import annotations

from typing import Final

from engine.call.reliable import in_order
from engine.sip.dialog import Dialog
from engine.sip.message import Request, Response

MAX_EARLY: Final = 16
"""More callees than that ring unheard: what they answer counts, what they say before does not.

And to no more who answer too late is BYE said.
"""


class Early:
    """One of them. Its `Dialog` is made when something is sent or received in it."""

    __slots__ = ("_dialog", "_response", "described", "dropped", "rseq")

    def __init__(self, response: Response) -> None:
        self._response = response
        self._dialog: Dialog | None = None
        self.rseq = 0
        """Of the last reliable response taken; 0 where there was none."""
        self.dropped = False
        """Its 2xx came after that of another one: it has been told BYE."""
        self.described = b""
        """The peer's last description that counts: from a reliable response, or an UPDATE since."""

    def takes(self, rseq: int) -> bool:
        """Whether a reliable response is the next in order; it counts as taken then (RFC 3262 §4)."""
        if not in_order(self.rseq, rseq):
            return False
        self.rseq = rseq
        return True

    @property
    def has_dialog(self) -> bool:
        return self._dialog is not None

    def dialog(self, invite: Request, contact: str) -> Dialog:
        if self._dialog is None:
            self._dialog = Dialog.uac(invite, self._response, contact)
        return self._dialog
