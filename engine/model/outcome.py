"""How a call ended: one `Outcome(blame, reason)` for every call.

`Blame` is closed. Reasons are slugs; every one that the engine produces is in `REASONS` with the words
the console shows for it in its catalogue (`outcome.<slug>`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Blame(StrEnum):
    CALLER = "caller"
    CALLEE = "callee"
    POLICY = "policy"
    UPSTREAM = "upstream"
    ENGINE = "engine"


class Outcome(msgspec.Struct, frozen=True, gc=False):
    blame: Blame
    reason: str

    def __str__(self) -> str:
        return f"{self.blame}/{self.reason}"


REASONS: Final[dict[str, str]] = {
    # connected calls
    "hung_up": "one side ended a connected call",
    "transferred": "the other side was put through to another call",
    "rtp_timeout": "no media arrived for the configured time",
    # not connected
    "cancelled": "the caller gave up before an answer",
    "busy": "the callee is busy",
    "no_answer": "the callee did not answer in time",
    "declined": "the callee declined",
    "not_found": "the next hop knows no such number",
    "failed": "the next hop refused the call",
    "timeout": "the next hop did not respond",
    "unreachable": "the next hop could not be sent to",
    "not_acceptable": "no common codec, or a session description that cannot be used",
    "ack_missing": "the answer was never acknowledged",
    # decisions
    "rejected": "blocked by the risk table or the policy",
    "warning_refused": "the callee heard the warning and ended the call",
    "warning_unanswered": "the callee heard the warning and pressed no key",
    "warning_hung_up": "the callee hung up during the warning",
    "dial_warning_heeded": "the subscriber hung up on hearing the warning",
    "not_routed": "no trunk for this call",
    "over_limit": "a trunk carries as many calls as it may",
    # faults of the engine
    "media_failed": "no media port or media worker",
    "shutdown": "the engine was stopped",
    "internal": "an error in the engine",
}
