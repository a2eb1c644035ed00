"""Names in routes and remote targets of dialogs: looked up once, remembered while the answer lives.

Until the answer is there a dialog's requests go where its last ones came from.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from engine.call.values import Resolved, ResolveRequested
from engine.sip.location import Family, Target, is_name
from engine.sip.uri import Uri

REMEMBERED: Final = 1_000
"""Names; the one not used for longest is forgotten first."""
LOOKUP_MIN_S: Final = 1.0

Key = tuple[str, str, int | None, str]
"""Scheme, host, port and transport parameter."""


@dataclass(slots=True)
class _Name:
    target: Target | None
    until: float


class Names:
    """Those of one core. `ask` takes the question to the runtime."""

    __slots__ = ("_ask", "_asked", "_count", "_families", "_known", "_transports")

    def __init__(
        self,
        ask: Callable[[ResolveRequested], None],
        transports: Sequence[str],
        families: Sequence[Family],
    ) -> None:
        self._ask = ask
        self._transports = tuple(transports)
        self._families = tuple(families)
        self._known: OrderedDict[Key, _Name] = OrderedDict()
        self._asked: dict[str, Key] = {}
        self._count = 0

    def request(self, query_id: str, uri: Uri) -> None:
        """Ask for the servers of a URI; `Resolved` with that id is the answer."""
        self._ask(ResolveRequested(query_id, uri, self._transports, self._families))

    def target(self, uri: Uri, now: float) -> Target | None:
        """Where a name leads to; None, and a question, while it is not known."""
        if not is_name(uri.host):
            return None
        key = (uri.scheme, uri.host, uri.port, uri.params.get("transport") or "")
        name = self._known.get(key)
        if name is None:
            name = self._known[key] = _Name(None, 0.0)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        if name.until <= now:
            name.until = inf  # until the answer is there
            self._count += 1
            query_id = f"name {self._count}"
            self._asked[query_id] = key
            self.request(query_id, uri)
        return name.target

    def resolved(self, resolved: Resolved, now: float) -> None:
        """The answer. When nobody gave one, what was known stays."""
        key = self._asked.pop(resolved.query_id, None)
        name = self._known.get(key) if key is not None else None
        if name is None:
            return
        location = resolved.location
        if location.reason != "dns":
            name.target = next(iter(location.targets(lambda most: most)), None)
        name.until = now + max(location.ttl_s, LOOKUP_MIN_S)
