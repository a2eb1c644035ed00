"""Trace files: lines of JSON, appended by a thread of their own, rotated by size and age.

A file is never changed but at its end, so a killed worker leaves whole lines and at most one torn one.
"""

from __future__ import annotations

import logging
import mmap
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from engine.model.ids import CallId
from engine.traces.collector import RawItem, RawNote, RawPart
from engine.traces.entries import CallTrace, Item, Leg, Message, Note, Part
from engine.traces.redaction import Keep, kept

QUEUED_PARTS: Final = 2_000
FILE_SHARE: Final = 8
"""So many files make up the total: rotation deletes an eighth of what there is."""
DAY_S: Final = 86_400.0
_CALL: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_log = logging.getLogger(__name__)


class TraceWriter:
    """The trace files of one worker below `folder`. `put` never waits; the disk's trouble is only counted."""

    def __init__(
        self,
        folder: Path,
        node: str,
        keep: Callable[[], Keep],
        *,
        total_bytes: int,
        keep_s: float,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`node` is part of a file's name; `clock` gives seconds since the epoch."""
        self._folder = folder
        self._node = node
        self._keep = keep
        self._total_bytes = total_bytes
        self._file_bytes = max(1, total_bytes // FILE_SHARE)
        self._keep_s = keep_s
        self._clock = clock
        self._offset = clock() - monotonic()
        self._queue: queue.Queue[list[RawPart] | None] = queue.Queue()
        self._file: BinaryIO | None = None
        self._opened = 0.0
        self._failing = False
        self.written = 0
        """Messages in the files."""
        self.lost = 0
        """Messages that could not be written."""
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def put(self, parts: list[RawPart]) -> None:
        if not parts:
            return
        if self._queue.qsize() >= QUEUED_PARTS:
            self.lost += sum(part.messages for part in parts)
        else:
            self._queue.put(parts)

    def close(self) -> None:
        """Write what is there, and end."""
        self._queue.put(None)
        self._thread.join()

    # --- the thread ---

    def _run(self) -> None:
        while (parts := self._queue.get()) is not None:
            try:
                self._write(parts)
                self._failing = False
            except Exception as error:  # whatever it is, calls do not depend on it
                self.lost += sum(part.messages for part in parts)
                if not self._failing:
                    _log.error("traces cannot be written: %s", error)
                self._failing = True
                self._shut()
        self._shut()

    def _write(self, parts: Sequence[RawPart]) -> None:
        keep, encode = self._keep(), msgspec.json.encode
        lines = b"".join(encode(self._part(part, keep)) + b"\n" for part in parts)
        file = self._current()
        file.write(lines)
        file.flush()
        self.written += sum(part.messages for part in parts)

    def _part(self, part: RawPart, keep: Keep) -> Part:
        return Part(
            call_id=part.call_id,
            direction=part.direction,
            items=[self._item(item, keep) for item in part.items],
            dropped=part.dropped,
        )

    def _item(self, item: RawItem, keep: Keep) -> Item:
        if isinstance(item, Leg):
            return Leg(role=item.role, sip_call_id=_plain(item.sip_call_id))
        if isinstance(item, RawNote):
            return msgspec.structs.replace(item.note, at=item.at + self._offset)
        text, body = kept(item.data, keep)
        return Message(
            at=item.at + self._offset,
            way=item.way,
            transport=item.flow.transport,
            local=_address(item.flow.local),
            remote=_address(item.flow.remote),
            sip_call_id=_plain(item.sip_call_id),
            text=text,
            body=body,
            size=len(item.data),
        )

    # --- files ---

    def _current(self) -> BinaryIO:
        """The file to append to; a new one when the last is full or a day old."""
        now = self._clock()
        if self._file is not None and (
            self._file.tell() >= self._file_bytes or now - self._opened >= min(DAY_S, self._keep_s)
        ):
            self._shut()
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S%f")
            path = self._folder / f"trace-{self._node}-{stamp}.jsonl"
            self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab")
            self._opened = now
            self._clear(path, now)
        return self._file

    def _clear(self, current: Path, now: float) -> None:
        """Delete what is too old, and the oldest beyond the total."""
        total = 0
        for path in sorted(self._folder.glob(f"trace-{self._node}-*.jsonl"), reverse=True):
            if path == current:
                continue
            found = path.stat()
            total += found.st_size
            if total > self._total_bytes - self._file_bytes or found.st_mtime < now - self._keep_s:
                path.unlink(missing_ok=True)

    def _shut(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read_trace(folder: Path, call_id: CallId) -> CallTrace | None:
    """What is kept of a call by any worker of this data folder; None where nothing is. Raises OSError."""
    if _CALL.fullmatch(call_id) is None or not folder.is_dir():
        return None
    items: list[Message | Note] = []
    roles: dict[str, str] = {}
    direction, dropped = "", 0
    for path in sorted(folder.glob("trace-*.jsonl")):
        for part in _parts(path, call_id):
            direction = part.direction
            dropped += part.dropped
            items += [item for item in part.items if not isinstance(item, Leg)]
            roles |= {item.sip_call_id: item.role for item in part.items if isinstance(item, Leg)}
    if not direction:
        return None
    return CallTrace(
        call_id=call_id,
        direction=direction,
        items=tuple(sorted(items, key=lambda item: item.at)),
        roles=roles,
        dropped=dropped,
    )


def _parts(path: Path, call_id: str) -> Iterator[Part]:
    """The lines of a file that are of this call. Within texts quotes are escaped, so none looks like one."""
    wanted = f'{{"call_id":"{call_id}",'.encode()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            at = data.find(wanted)
            while at >= 0:
                end = data.find(b"\n", at)
                if end < 0:
                    return  # it is just being written, or its writer was killed
                try:
                    yield msgspec.json.decode(data[at:end], type=Part)
                except msgspec.MsgspecError as error:
                    _log.warning("%s: a line of call %s cannot be read: %s", path.name, call_id, error)
                at = data.find(wanted, end)
    except (FileNotFoundError, ValueError):
        return  # rotated away meanwhile, or empty


def _address(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _plain(text: str) -> str:
    """Bytes that are no text came as surrogates, which JSON does not take."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
