"""What is wrong with a peer's description."""

from __future__ import annotations


class SdpError(ValueError):
    """The peer's description cannot be used; `reason` is a slug for logs and the Warning header."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
