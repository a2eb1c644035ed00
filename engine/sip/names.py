"""Header field names: canonical spelling, compact forms, and which of them are lists (RFC 3261 §7.3, §20)."""

from __future__ import annotations

from engine.sip.errors import RemoteProtocolError
from engine.sip.grammar import TOKEN

_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}

# A comma separates values of these; in any other header it is an ordinary character.
_LIST_NAMES = """
    Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Call-Info Contact
    Content-Encoding Content-Language Diversion Error-Info Feature-Caps Geolocation History-Info In-Reply-To
    P-Asserted-Identity P-Associated-URI P-Early-Media P-Preferred-Identity Path Proxy-Require Reason
    Record-Route Reject-Contact Request-Disposition Require Route Security-Client Security-Server
    Security-Verify Service-Route Supported Unsupported Via Warning
"""
LISTS = frozenset(_LIST_NAMES.split())

# Every message has these (RFC 3261 §8.1.1, §8.2.6.2).
MANDATORY = ("Via", "From", "To", "Call-ID", "CSeq")

# More than one of these makes a message ambiguous (RFC 4475 §3.3.8).
SINGLE = (
    "Call-ID",
    "CSeq",
    "From",
    "To",
    "Max-Forwards",
    "Content-Length",
    "Content-Type",
    "Expires",
    "Min-SE",
    "Session-Expires",
    "Replaces",
    "Refer-To",
)

_OTHER_NAMES = """
    Authentication-Info Authorization Content-Disposition CSeq Date Expires Flow-Timer Max-Forwards
    MIME-Version Min-Expires Min-SE Organization P-Access-Network-Info P-Charging-Vector Priority Privacy
    Proxy-Authenticate Proxy-Authorization RAck Refer-Sub Replaces Reply-To Retry-After RSeq Server SIP-ETag
    SIP-If-Match Subscription-State Target-Dialog Timestamp User-Agent User-to-User WWW-Authenticate
"""

_KNOWN = {name.lower(): name for name in (*_COMPACT.values(), *LISTS, *_OTHER_NAMES.split())} | _COMPACT

# Every spelling usually seen, so that one look-up settles most names.
SPELLINGS = {
    spelling: name
    for lower, name in _KNOWN.items()
    for spelling in (lower, lower.upper(), lower.title(), name)
}


def canonical(name: str) -> str:
    """The canonical spelling of a header name; RemoteProtocolError(400) when it is not a token.

    Compact forms are expanded, unknown names are capitalised at each hyphen.
    """
    known = SPELLINGS.get(name)
    if known is not None:
        return known
    stripped = name.rstrip(" \t")
    if not TOKEN.fullmatch(stripped):
        raise RemoteProtocolError("malformed header name")
    return _KNOWN.get(stripped.lower()) or stripped.title()


def layout_of(spelt: tuple[str, ...]) -> tuple[tuple[str, ...], bool] | None:
    """A message's header names as they stand: canonical, and whether each stands once.

    None where one is none, is missing, or stands twice and must not.
    """
    try:
        names = tuple([canonical(name) for name in spelt])
    except RemoteProtocolError:
        return None
    if not all(name in names for name in MANDATORY) or any(names.count(name) > 1 for name in SINGLE):
        return None
    return names, len(set(names)) == len(names)
