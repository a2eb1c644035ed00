"""Whether an offer of the peer's may be looked at now (RFC 3261 §14.2, RFC 3311 §5.2), as a table.

`engine.call.leg_offers` is one leg's side of it, and sends what comes out.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final


@unique
class Standing(StrEnum):
    """The first that holds."""

    CROSSED = "the peer's offer and ours have met"
    THEIRS = "an offer of the peer's inside the dialog has no answer yet"
    OURS = "one of ours has none"
    UNSETTLED = "our offer of the first INVITE, or of a reliable 18x, has none, or a 2xx has no ACK"
    OWED = "the peer's of the first INVITE, or of a reliable 18x, has no answer of ours"
    SETTLED = "nothing is under way"


@unique
class Given(StrEnum):
    INVITE = "re-INVITE"
    SECOND = "another INVITE while the peer's first has no 2xx"
    BACK = "an INVITE while ours has no 2xx"
    UPDATE = "UPDATE with an offer"
    BARE = "UPDATE without"
    PRACK = "PRACK with an offer"


@unique
class Ruling(StrEnum):
    TAKE = "take it"
    GLARE = "491"
    LATER = "500 with Retry-After"
    BUSY = "500"


S, G, R = Standing, Given, Ruling

TABLE: Final[dict[tuple[Standing, Given], Ruling]] = {
    # RFC 3261 §14.2: a second INVITE before the first one's final response
    **{(standing, G.SECOND): R.LATER for standing in S},
    # §14.1: who has an INVITE under way itself
    (S.CROSSED, G.BACK): R.LATER,
    (S.THEIRS, G.BACK): R.LATER,
    **{(standing, G.BACK): R.GLARE for standing in (S.OURS, S.OWED, S.UNSETTLED, S.SETTLED)},
    (S.CROSSED, G.INVITE): R.LATER,
    (S.THEIRS, G.INVITE): R.LATER,
    (S.OURS, G.INVITE): R.GLARE,
    (S.OWED, G.INVITE): R.TAKE,
    (S.UNSETTLED, G.INVITE): R.GLARE,
    (S.SETTLED, G.INVITE): R.TAKE,
    # RFC 3311 §5.2
    (S.CROSSED, G.UPDATE): R.LATER,
    (S.THEIRS, G.UPDATE): R.LATER,
    (S.OURS, G.UPDATE): R.GLARE,
    (S.OWED, G.UPDATE): R.LATER,
    (S.UNSETTLED, G.UPDATE): R.GLARE,
    (S.SETTLED, G.UPDATE): R.TAKE,
    # it only refreshes, but not before an answer that is due (RFC 4028 §7.4)
    (S.CROSSED, G.BARE): R.LATER,
    (S.THEIRS, G.BARE): R.LATER,
    **{(standing, G.BARE): R.TAKE for standing in (S.OURS, S.OWED, S.UNSETTLED, S.SETTLED)},
    # RFC 3262 §5: what it acknowledges has settled the INVITE's own offer
    (S.CROSSED, G.PRACK): R.GLARE,
    (S.THEIRS, G.PRACK): R.BUSY,
    (S.OURS, G.PRACK): R.GLARE,
    **{(standing, G.PRACK): R.TAKE for standing in (S.OWED, S.UNSETTLED, S.SETTLED)},
}
