"""Who a call was for before: Diversion (RFC 5806) and History-Info (RFC 7044), passed on and continued.

Both name subscribers, so they leave by trusted trunks only, like P-Asserted-Identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.call.identity import identities
from engine.call.legs import Headers
from engine.sip.grammar import Params
from engine.sip.message import Request
from engine.sip.uri import NameAddr, Uri

MAX_DIVERSIONS: Final = 10
MAX_HISTORY: Final = 20
"""More tell of a loop, or of a message made to be long; the latest count."""


@dataclass(frozen=True, slots=True)
class Diverted:
    """A redirection that we followed: from whom, to whom, by which status, and whether the phone rang."""

    number: str
    target: str
    status: int
    rang: bool


def history(invite: Request, diverted: tuple[Diverted, ...], host: str) -> Headers:
    """The rows for an INVITE that leaves; `host` stands in URIs of our own writing."""
    rows = [("Diversion", str(each)) for each in identities(invite, "Diversion")]
    entries = identities(invite, "History-Info")
    for each in diverted:
        reason = "no-answer" if each.rang else "unconditional"
        params = Params({"reason": reason, "counter": "1"})
        rows.insert(0, ("Diversion", str(NameAddr(None, Uri("sip", each.number, host), params))))
        entries = _continued(entries, each, host)
    kept = entries[-MAX_HISTORY:]
    return [*rows[:MAX_DIVERSIONS], *(("History-Info", str(entry)) for entry in kept)]


def _continued(entries: list[NameAddr], diverted: Diverted, host: str) -> list[NameAddr]:
    """The one that was redirected gets its reason, and the target comes below it (RFC 7044 §10.1, §10.3)."""
    cause = ("Reason", f"SIP;cause={diverted.status}")
    old = (
        entries[-1] if entries else NameAddr(None, Uri("sip", diverted.number, host), Params({"index": "1"}))
    )
    kept = [header for header in old.uri.headers if header[0].lower() != "reason"]
    index = old.params.get("index") or "1"
    told = old.replace(uri=old.uri.replace(headers=(*kept, cause)))
    params = Params({"index": f"{index}.1", "mp": index})
    return [*entries[:-1], told, NameAddr(None, Uri("sip", diverted.target, host), params)]
