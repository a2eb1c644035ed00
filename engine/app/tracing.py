"""SIP traces of one engine worker: on or off by configuration and switch, written a few times a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from engine.app.trace_switch import Mode, TraceSwitch, TraceSwitchError, read_trace_switch
from engine.model.config import Config
from engine.model.events import TraceChanged
from engine.runtime.worker import EngineWorker
from engine.traces.collector import Collector
from engine.traces.files import TraceWriter
from engine.traces.redaction import Keep
from scoring.numbers.hot_files import Mark, file_mark

DAY_S: Final = 86_400
MEGABYTE: Final = 1_000_000
_log = logging.getLogger(__name__)


class Tracing:
    """`look` is called a few times a second; between two looks messages wait in memory, bounded."""

    def __init__(
        self, config: Config, worker: EngineWorker, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._config = config
        self._worker = worker
        self._now = now
        self._switch: TraceSwitch | None = None
        self._mark: Mark | None = None
        """Of the file that was read into it."""
        self._trouble = ""
        self.mode: Mode = "off"
        self.collector: Collector | None = None
        self.writer: TraceWriter | None = None

    def look(self) -> None:
        """Follow configuration and switch, and hand what is new to the writer."""
        mode, switch = self._wanted()
        if mode != self.mode:
            self._change(mode, switch)
        self._flush()

    def close(self) -> None:
        """Write what there is."""
        self._flush()
        self._worker.trace_with(None)
        if self.writer is not None:
            self.writer.close()

    def _wanted(self) -> tuple[Mode, TraceSwitch | None]:
        path = self._config.trace_switch_file
        try:
            mark = file_mark(path)
            if mark != self._mark:
                self._switch = read_trace_switch(path)
                self._mark = mark
            self._trouble = ""
        except (OSError, TraceSwitchError) as error:  # it counts as it did before
            if str(error) != self._trouble:
                _log.error("%s", error)
            self._trouble = str(error)
        if self._switch is not None and self._switch.active(self._now()):
            return self._switch.mode, self._switch
        return self._config.sip.trace, None

    def _change(self, mode: Mode, switch: TraceSwitch | None) -> None:
        self._flush()
        self.mode = mode
        if mode == "off":
            self.collector = None
            self._worker.trace_with(None)
        elif self.collector is None:
            self.collector = Collector()
            self.writer = self.writer or self._open()
            self._worker.trace_with(self.collector)
        expires = switch.expires.timestamp() if switch is not None else None
        self._worker.event(
            TraceChanged(mode=mode, by=switch.by if switch is not None else "", expires=expires)
        )
        _log.warning("SIP messages of calls are %s", "no longer kept" if mode == "off" else f"kept: {mode}")

    def _open(self) -> TraceWriter:
        config = self._config
        return TraceWriter(
            config.traces_folder,
            f"{config.node.id}-{config.node.worker}",
            self._keep,
            total_bytes=config.sip.trace_total_mb * MEGABYTE,
            keep_s=config.sip.trace_days * DAY_S,
        )

    def _keep(self) -> Keep:
        """What is written of messages that were taken while it was on."""
        return "full" if self.mode == "full" else "headers"

    def _flush(self) -> None:
        if self.collector is not None and self.writer is not None:
            self.writer.put(self.collector.take(time.monotonic()))
