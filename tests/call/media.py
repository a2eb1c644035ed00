"""A scripted media worker: does what it is told, and finishes what the test lets it finish."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from engine.call.values import MediaReported
from engine.model.ids import PlaybackId, RecordingId, SessionId
from engine.model.media import (
    AnyMediaCommand,
    AnyMediaEvent,
    CaptureClosed,
    CaptureStarted,
    CloseSession,
    DtmfReceived,
    MediaFailed,
    OpenSession,
    Play,
    PlaybackFinished,
    PlayTone,
    SessionClosed,
    SessionOpened,
    SetRemote,
    SetRoutes,
    StartCapture,
    StopCapture,
    StopPlayback,
)

if TYPE_CHECKING:
    from tests.call.kit import Lab

MEDIA_HOST = "127.0.20.9"
M = TypeVar("M", bound=AnyMediaCommand)


class Media:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.commands: list[AnyMediaCommand] = []
        self.sessions: dict[SessionId, dict[str, tuple[str, int]]] = {}
        self.captures: dict[RecordingId, StartCapture] = {}
        self.opens = True
        """Whether sessions are opened at once."""
        self.opens_files = self.closes_files = True
        """Whether the disk is done with a recording at once."""
        self.captures_fail = False
        self.check: Callable[[StartCapture], None] = lambda command: None
        """Called before a recording begins."""
        self.heard: set[tuple[SessionId, str, str]] = set()
        """Session, endpoint and prompt that was spoken to its end, to somebody whose address was known."""
        self._opened: set[RecordingId] = set()
        self._opened_sessions: set[SessionId] = set()
        self._ending: list[StartCapture] = []
        self._port = 20000
        self._playing: dict[PlaybackId, Play | PlayTone] = {}

    def take(self, command: AnyMediaCommand) -> None:
        self.commands.append(command)
        if isinstance(command, OpenSession):
            if self.opens:
                self.open()
            return
        if command.session not in self.sessions:
            self.fail(command, "unknown_session")
            return
        match command:
            case Play() | PlayTone():
                self._playing[command.playback] = command
            case StopPlayback(playback=playback):
                if self._playing.pop(playback, None) is None:
                    self.fail(command, "unknown_playback")
                else:
                    self.tell(PlaybackFinished(session=command.session, playback=playback, stopped=True))
            case StartCapture(recording=recording):
                self.check(command)
                if self.captures_fail:
                    self.fail(command, "disk")
                    return
                self.captures[recording] = command
                if self.opens_files:
                    self.open_files()
            case StopCapture(recording=recording):
                if recording in self.captures:
                    self._close(recording)
                else:
                    self.fail(command, "unknown_recording")
            case CloseSession():
                for recording, capture in list(self.captures.items()):
                    if capture.session == command.session:
                        self._close(recording)
                for playback, playing in list(self._playing.items()):
                    if playing.session == command.session:
                        del self._playing[playback]
                del self.sessions[command.session]
                self.tell(SessionClosed(session=command.session))
            case _:
                pass

    def open(self) -> None:
        """Open every session that waits."""
        for command in self.commands:
            if isinstance(command, OpenSession) and command.session not in self._opened_sessions:
                self._opened_sessions.add(command.session)
                ports = {}
                for name in command.endpoints:
                    ports[name] = (MEDIA_HOST, self._port)
                    self._port += 2
                self.sessions[command.session] = ports
                self.tell(SessionOpened(session=command.session, ports=ports))

    def _close(self, recording: RecordingId) -> None:
        self._ending.append(self.captures.pop(recording))
        if self.closes_files:
            self.close_files()

    # --- what a test lets it tell ---

    def tell(self, event: AnyMediaEvent) -> None:
        self._lab.later(lambda: self._lab.command(MediaReported(event)))

    def fail(self, command: AnyMediaCommand, reason: str) -> None:
        self.tell(
            MediaFailed(
                session=command.session,
                command=type(command).__name__,
                reason=reason,
                playback=getattr(command, "playback", None),
                recording=getattr(command, "recording", None),
            )
        )

    def open_files(self) -> None:
        for capture in [*self.captures.values(), *self._ending]:
            if capture.recording not in self._opened:
                self._opened.add(capture.recording)
                path = f"{capture.recording}.rwc"
                self.tell(CaptureStarted(session=capture.session, recording=capture.recording, path=path))
        self._lab.pump()

    def close_files(self, *, interrupted: bool = False) -> None:
        """The disk is done with recordings that have ended."""
        ending, self._ending = self._ending, []
        for capture in ending:
            self.tell(
                CaptureClosed(
                    session=capture.session,
                    recording=capture.recording,
                    path=f"{capture.recording}.rwc",
                    duration_ms=1000,
                    size_bytes=16000,
                    digest="00",
                    interrupted=interrupted,
                )
            )
        self._lab.pump()

    def playing(self) -> list[str]:
        """`callee warn_callee`, `caller ringback`, …"""
        return [
            f"{each.endpoint} {each.tone if isinstance(each, PlayTone) else ' '.join(each.prompts)}"
            for each in self._playing.values()
        ]

    def finish(self, most: int = 99) -> None:
        """Prompts have been spoken to their end (tones never end)."""
        for playing in self._prompts(most):
            if self.knows(playing.session, playing.endpoint):
                self.heard |= {(playing.session, playing.endpoint, prompt) for prompt in playing.prompts}
            self._lab.do(PlaybackFinished(session=playing.session, playback=playing.playback))

    def miss(self, most: int = 99) -> None:
        """Prompts cannot be played."""
        for playing in self._prompts(most):
            self.fail(playing, "missing_prompt")
        self._lab.pump()

    def _prompts(self, most: int) -> list[Play]:
        prompts = [playing for playing in self._playing.values() if isinstance(playing, Play)][:most]
        for prompt in prompts:
            del self._playing[prompt.playback]
        return prompts

    def knows(self, session: SessionId, endpoint: str) -> bool:
        """Whether the leg's address has been told: what others send is dropped."""
        return any(
            isinstance(command, SetRemote) and (command.session, command.endpoint) == (session, endpoint)
            for command in self.commands
        )

    def press(self, digit: str, endpoint: str = "callee", session: SessionId | None = None) -> None:
        self._lab.do(
            DtmfReceived(session=session or self.session, endpoint=endpoint, digit=digit, duration_ms=100)
        )

    def lose(self) -> None:
        """The worker dies."""
        sessions, self.sessions = self.sessions, {}
        self._ending += self.captures.values()
        self.captures.clear()
        self._playing.clear()
        for session in sessions:
            self._lab.lost(session)

    # --- what a test asks ---

    @property
    def session(self) -> SessionId:
        return next(reversed(self.sessions))

    def last(self, kind: type[M], **fields: Any) -> M:
        """The last command of that kind whose fields are these."""
        found = [
            command
            for command in self.commands
            if isinstance(command, kind) and all(getattr(command, k) == v for k, v in fields.items())
        ]
        assert found, f"no {kind.__name__} {fields}"
        return found[-1]

    def count(self, kind: type[AnyMediaCommand]) -> int:
        return sum(isinstance(command, kind) for command in self.commands)

    def routes(self) -> set[tuple[str, str]]:
        """Who hears whom, as (source, destination); the matrix is empty at first."""
        matrices = [command for command in self.commands if isinstance(command, SetRoutes)]
        return {(cell.source, cell.destination) for cell in matrices[-1].routes} if matrices else set()

    def remotes(self, session: SessionId | None = None) -> dict[str, SetRemote]:
        """Where each endpoint's media goes; of the last one that was told, whose session it may be."""
        return {
            command.endpoint: command
            for command in self.commands
            if isinstance(command, SetRemote) and session in (None, command.session)
        }
