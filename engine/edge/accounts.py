"""Who a phone may say it is (RFC 3325 §5, RFC 3261 §22.1).

A From that is neither one of the account's own identities nor anonymous is refused with 403. Asserting who it
is and passing the From on would do by the letter of RFC 3325, but what a callee's phone shows, and what an
untrusted carrier gets, is From alone: a forged number would leave here under our name. Calls for help are
never refused; of them the asserted identity tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from engine.sip.errors import RemoteProtocolError
from engine.sip.message import Request
from engine.sip.uri import NameAddr

_PREFERRED: Final = "P-Preferred-Identity"
_ANONYMOUS: Final = ("", "anonymous")  # RFC 3323 §4.1.1.3


class Accounts:
    """Users, and the identities of each: its name and its numbers, in any spelling."""

    def __init__(
        self,
        users: Iterable[str],
        numbers: Mapping[str, Iterable[str]] | None = None,
        *,
        address_of: Callable[[str], str],
    ) -> None:
        """`address_of` gives the one spelling of a user part. ValueError where two users share a number."""
        self._address_of = address_of
        self._owners = {address_of(user): address_of(user) for user in users}
        self._main: dict[str, str] = {}
        for user, theirs in (numbers or {}).items():
            account = address_of(user)
            for number in theirs:
                identity = address_of(number)
                if self._owners.setdefault(identity, account) != account:
                    raise ValueError(f"{number} is {user}'s and another user's")
                self._main.setdefault(account, identity)

    def owner(self, user: str | None) -> str | None:
        """The account with that name or number."""
        return self._owners.get(self._address_of(user or ""))

    def may_send(self, account: str, request: Request) -> bool:
        """Whether the From is one that the account may have."""
        user = request.from_.uri.user or ""
        return user.lower() in _ANONYMOUS or self.owner(user) == account

    def said(self, request: Request) -> list[str]:
        """The accounts that the request says it is from: by the wish first, then by From."""
        return [owner for _, owner in self._named(request)]

    def asserted(self, account: str, request: Request) -> str:
        """Which of its identities is vouched for: the one it wishes, that in From, or its first number."""
        own = (identity for identity, owner in self._named(request) if owner == account)
        return next(own, self._main.get(account, account))

    def _named(self, request: Request) -> list[tuple[str, str]]:
        users = [*_preferred(request), request.from_.uri.user or ""]
        found = ((self._address_of(user), self.owner(user)) for user in users)
        return [(identity, owner) for identity, owner in found if owner is not None]


def _preferred(request: Request) -> list[str]:
    """User parts of P-Preferred-Identity: a wish, so what cannot be read is none."""
    try:
        values = request.get_all(_PREFERRED)[:2]  # RFC 3325 §9.2
        return [NameAddr.parse(value).uri.user or "" for value in values]
    except RemoteProtocolError:
        return []
