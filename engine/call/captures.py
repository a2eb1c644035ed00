"""Recordings, from the order to begin to the last word on their file, which may come after the call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.call.troubles import RECORDING
from engine.call.values import Decision
from engine.call.wire import Wire
from engine.model.events import RecordingClosed, RecordingStarted
from engine.model.ids import CallId, RecordingId
from engine.model.media import CaptureClosed, CaptureStarted, MediaFailed, StartCapture

_DISK: Final = "disk"
"""The reason that is the last word on a file."""


@dataclass(slots=True)
class _Capture:
    call_id: CallId
    decision: Decision
    started: bool = False


class Captures:
    """All recordings of one core."""

    __slots__ = ("_open", "_wire")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._open: dict[RecordingId, _Capture] = {}

    def begin(self, recording: RecordingId, call_id: CallId, decision: Decision) -> None:
        self._open[recording] = _Capture(call_id, decision)

    def report(self, event: CaptureStarted | CaptureClosed | MediaFailed) -> None:
        """The media worker tells something of a recording."""
        recording = event.recording
        capture = self._open.get(recording) if recording is not None else None
        if recording is None or capture is None:
            return
        match event:
            case CaptureStarted(path=path):
                capture.started = True
                self._wire.emit(
                    RecordingStarted(
                        call_id=capture.call_id,
                        recording_id=recording,
                        path=path,
                        left=capture.decision.calling,
                        right=capture.decision.called,
                    )
                )
            case CaptureClosed():
                if not event.interrupted:
                    self._wire.troubles.passed(self._wire.now, RECORDING)
                del self._open[recording]
                language = capture.decision.language
                self._wire.emit(
                    RecordingClosed(
                        call_id=capture.call_id,
                        recording_id=recording,
                        path=event.path,
                        duration_ms=event.duration_ms,
                        size_bytes=event.size_bytes,
                        digest=event.digest,
                        interrupted=event.interrupted,
                        languages=(language, language),
                    )
                )
            case MediaFailed():
                self._failed(recording, capture, event)

    def _failed(self, recording: RecordingId, capture: _Capture, event: MediaFailed) -> None:
        """A file that was never opened, or could not be closed; one that lost sound is still to be closed."""
        begun = event.command == StartCapture.__name__
        if not begun and event.reason != _DISK:
            return  # the worker is gone or does not know it: the next one closes the file, and tells
        self._wire.troubles.seen(RECORDING, event.text, self._wire.now, capture.call_id)
        if not (begun and capture.started):
            del self._open[recording]

    def __contains__(self, recording: RecordingId) -> bool:
        return recording in self._open

    def __len__(self) -> int:
        return len(self._open)
