"""From a node's journal into the store, at least once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from engine.model.events import Record
from engine.model.ids import TenantId
from engine.store.store import Store

_ROWS_MAX: Final = 200
"""Journal rows in one transaction."""
_KEEP_ROWS: Final = 20_000
_PRUNE_ROWS: Final = 500
"""So many are pruned together."""


class JournalSource(Protocol):
    """What the shipper needs of a journal; `engine.journal.JournalReader` is one."""

    @property
    def node(self) -> str: ...
    @property
    def journal_id(self) -> str:
        """Names the journal file itself: a new file counts its rows anew."""
        ...

    def after(self, cursor: int, limit: int) -> Sequence[tuple[int, Sequence[Record]]]: ...
    def prune(self, cursor: int) -> int: ...


class Shipper:
    """Tails one journal. The tenant is the one that operates the node; records may be of others.

    Of what is shipped the journal keeps the last `keep_rows` rows, for people who look into a fault.
    """

    def __init__(
        self, source: JournalSource, store: Store, tenant: TenantId, *, keep_rows: int = _KEEP_ROWS
    ) -> None:
        self._source = source
        self._store = store
        self._tenant = tenant
        self._keep_rows = keep_rows
        self._cursor: int | None = None
        self._pruned = 0

    @property
    def cursor(self) -> int:
        """The last row that is in the store, as far as is known."""
        return self._cursor or 0

    async def ship_next(self) -> list[Record] | None:
        """Ship the next rows of the journal in one transaction; the records that were new to the store.

        None: the journal is at its end. On an error the cursor stays where it was, so the same rows are
        shipped by the next call.
        """
        source, store = self._source, self._store
        if self._cursor is None:
            self._cursor = await store.shipped(self._tenant, source.node, source.journal_id)
        rows = await asyncio.to_thread(source.after, self._cursor, _ROWS_MAX)
        if not rows:
            return None
        last = rows[-1][0]
        records = [record for _, batch in rows for record in batch]
        new = await store.ship_from(self._tenant, source.node, source.journal_id, last, records)
        self._cursor = last
        old = last - self._keep_rows
        if old - self._pruned >= _PRUNE_ROWS:
            await asyncio.to_thread(source.prune, old)
            self._pruned = old
        return new
