"""Bindings kept in a file of the edge's own, so that phones on UDP stay reachable over a restart.

One line of JSON for each change, appended as it happens: the kernel has it before the phone has its answer,
so a killed process loses nothing. Connections die with the process, so only what came by UDP is kept.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from engine.edge.bindings import Binding, Bindings
from engine.sip.flow import Flow

SPARE_LINES: Final = 1_000
"""Lines beyond four for each binding after which the file is written anew."""
_log = logging.getLogger(__name__)


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """`until` is Unix time, 0 for a binding that is gone."""

    user: str
    contact: str
    local: tuple[str, int]
    remote: tuple[str, int]
    call_id: str
    cseq: int
    until: float
    q: str = ""
    instance: str = ""
    reg_id: int = 0
    path: tuple[str, ...] = ()


class BindingFile:
    """A `BindingRepository` that waits for no disk."""

    def __init__(self, path: Path, wall: Callable[[], float] = time.time) -> None:
        """`wall` is Unix time. Raises OSError where the file cannot be made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._wall = wall
        self._kept = Bindings()
        self._lines = 0
        self._file = self._open()

    def load(self, now: float) -> list[Binding]:
        """Those in force; lines that cannot be read, as after a power cut, are left out and told of."""
        offset = now - self._wall()
        bad = 0
        for line in filter(None, self._path.read_bytes().split(b"\n")):
            try:
                read = msgspec.json.decode(line, type=_Line)
            except msgspec.MsgspecError:
                bad += 1
                continue
            self._kept.put(_binding(read, offset))  # one that is gone is over: writing anew leaves it out
        if bad:
            _log.warning("%s: %d lines cannot be read and were left out", self._path, bad)
        self._rewrite(now)
        return list(self._kept)

    def save(self, binding: Binding, now: float) -> None:
        if binding.flow.reliable:
            self._drop(self._kept.find(binding), now)
            return
        self._kept.put(binding)
        self._append(_line(binding, binding.expires + self._wall() - now), now)

    def remove(self, binding: Binding, now: float) -> None:
        kept = self._kept.find(binding)
        if kept is not None and kept.flow == binding.flow:
            self._drop(kept, now)

    def _drop(self, kept: Binding | None, now: float) -> None:
        if kept is not None:
            self._kept.drop(kept)
            self._append(_line(kept, 0.0), now)

    def close(self) -> None:
        os.close(self._file)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _append(self, line: _Line, now: float) -> None:
        try:
            os.write(self._file, msgspec.json.encode(line) + b"\n")
            self._lines += 1
            if self._lines > 4 * len(self._kept) + SPARE_LINES:
                self._rewrite(now)
        except OSError as error:  # registering goes on; the next start knows less
            _log.error("%s cannot be written: %s", self._path, error.strerror)

    def _rewrite(self, now: float) -> None:
        offset = self._wall() - now
        self._kept.expire(now)
        lines = [msgspec.json.encode(_line(each, each.expires + offset)) + b"\n" for each in self._kept]
        part = self._path.with_name(self._path.name + ".part")
        part.touch(mode=0o600)
        part.write_bytes(b"".join(lines))
        part.replace(self._path)
        os.close(self._file)
        self._file = self._open()
        self._lines = len(lines)


def _line(binding: Binding, until: float) -> _Line:
    return _Line(
        user=binding.user,
        contact=binding.contact,
        local=binding.flow.local,
        remote=binding.flow.remote,
        call_id=binding.call_id,
        cseq=binding.cseq,
        until=until,
        q=binding.q,
        instance=binding.instance,
        reg_id=binding.reg_id,
        path=binding.path,
    )


def _binding(line: _Line, offset: float) -> Binding:
    return Binding(
        user=line.user,
        contact=line.contact,
        flow=Flow("udp", line.local, line.remote),
        call_id=line.call_id,
        cseq=line.cseq,
        expires=line.until + offset,
        q=line.q,
        instance=line.instance,
        reg_id=line.reg_id,
        path=line.path,
    )
