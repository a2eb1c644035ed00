"""How a blocked caller is told: by RFC 8688, or as ATIS-1000099 wants it. Nothing of why is in either."""

from __future__ import annotations

from typing import Final, Literal

from engine.call.refusals import FinalResponse
from engine.call.values import Block, Decision, Redress
from engine.sip.grammar import quote_string

Style = Literal["608", "603+"]
NETWORK_BLOCKED: Final = "Network Blocked"
"""The phrase that makes a 603 a 603+ (ATIS-1000099)."""


def rejection(block: Decision | Block, style: Style, redress: Redress) -> FinalResponse:
    """The final response to a call that the policy blocks.

    607 is the callee's own refusal and has no redress (RFC 8197); 608 names a signed card that says where
    to turn to (RFC 8688 §3.1); 603+ says it in the text of its Reason.
    """
    if block.status != 608:
        return FinalResponse(block.status)
    if style == "603+":
        return FinalResponse(603, [("Reason", _reason(block.redress, redress))], NETWORK_BLOCKED)
    if block.card:
        return FinalResponse(608, [("Call-Info", f"<{block.card}>;purpose=jwscard")])
    return FinalResponse(608)


def _reason(url: str, redress: Redress) -> str:
    """`location=RLN`: the network that serves the called party has blocked it (RFC 8606)."""
    pairs = ["v=analytics1"]
    if url:
        pairs.append(f"url={url}")
    pairs += [f"{name}={value}" for name, value in (("tel", redress.tel), ("email", redress.email)) if value]
    return f"SIP;cause=603;text={quote_string(';'.join(pairs))};location=RLN"
