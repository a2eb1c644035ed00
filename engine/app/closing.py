"""Recordings whose engine died before it could tell how they ended: closed from their manifests.

The media worker outlives its engine by the moment it needs to close its files, and the next one repairs
what a killed one left; neither knows the calls. The store knows which recordings never ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from engine.model.config import Config
from engine.model.ids import TenantId
from engine.store.entries import RecordingEntry
from engine.store.recordings import RecordingRepository
from recordings.archive import Archive
from recordings.errors import RecordingError
from recordings.manifest import Manifest, decode_manifest, manifest_path

LOOK_S = 10.0
GRACE = timedelta(seconds=30)
"""After its call's end a recording's own end is waited for: the usual way takes milliseconds."""

_log = logging.getLogger(__name__)


class Closing:
    """One per store. `on_done` is told each recording that was closed."""

    def __init__(
        self,
        config: Config,
        recordings: RecordingRepository,
        archive: Archive,
        now: Callable[[], datetime],
        on_done: Callable[[str], None],
    ) -> None:
        self._config = config
        self._recordings = recordings
        self._archive = archive
        self._now = now
        self._on_done = on_done

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except SQLAlchemyError as error:
                _log.error("unfinished recordings could not be read or written: %s", error)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Close what can be closed. Raises SQLAlchemyError."""
        now = self._now()
        tenant = TenantId(self._config.tenant)
        for entry in await self._recordings.list_unclosed(tenant, now - GRACE):
            manifest = await asyncio.to_thread(self._manifest, entry)
            if manifest is None:
                continue  # it is still written, or its host's media worker has not come back yet
            callee = entry.right.number if entry.right is not None else None
            language = self._config.language_of(callee or "")
            if await self._recordings.close_recording(tenant, manifest, (language, language), now):
                _log.warning("recording %s was closed: its engine had died", entry.recording_id)
                self._on_done(entry.recording_id)

    def _manifest(self, entry: RecordingEntry) -> Manifest | None:
        try:
            return decode_manifest(manifest_path(self._archive.locate(entry.path)).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecordingError) as error:
            _log.error("the manifest of recording %s cannot be read: %s", entry.recording_id, error)
            return None
