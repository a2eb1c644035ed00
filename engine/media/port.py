"""What the engine holds of a media worker: a place to send commands, a callback for events."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Protocol, cast

import msgspec

from engine.media import link
from engine.media.failures import NO_WORKER, OVERLOAD
from engine.media.heartbeat import BEAT_S, LIMIT_S, Heartbeat, Pulse
from engine.media.settings import WorkerSettings
from engine.model.ids import RecordingId, SessionId
from engine.model.media import (
    AnyMediaCommand,
    AnyMediaEvent,
    CaptureClosed,
    CaptureStarted,
    MediaFailed,
    OpenSession,
    SessionClosed,
    StopCapture,
    WorkerLost,
)
from engine.model.moments import next_moment

log = logging.getLogger("ringward.media")

OnMediaEvent = Callable[[AnyMediaEvent], None]
OnAlarm = Callable[[str, str], None]
"""Slug and detail; told once when the worker is lost, once when the next one works."""

UNSENT_BYTES = 4 << 20
"""Bound of the queue to the worker."""
START_S = 30.0
END_S = 12.0
"""A worker that closes its recordings takes at most ten."""
FIRST_RESTART_S, LAST_RESTART_S = 0.1, 5.0


class MediaWorkerError(Exception):
    """The worker does not start; the message is fit for an operator."""


class MediaPort(Protocol):
    """One media worker (or, later, another media host) as the engine sees it.

    Events come through the callback given at the start, on the event loop, never from inside `send`.
    """

    def send(self, command: AnyMediaCommand) -> None:
        """Queue a command; never blocks, never raises for a worker's trouble.

        Commands of one session are carried out in order. The queue is bounded: a command that finds it
        full, or no worker at all, is dropped and answered with `MediaFailed` of reason `overload` or
        `no_worker`.
        """
        ...

    async def close(self) -> None:
        """End every session (captures are closed first) and the worker. Idempotent."""
        ...


class WorkerPort:
    """A media worker process of our own; a `MediaPort`.

    A worker that dies takes its sessions with it (`WorkerLost` for each) and is started again; sessions are
    the caller's to open anew. What it was recording is repaired by the next worker, which tells
    `CaptureClosed(interrupted=True)`. One that hangs is killed and so dies too.
    """

    def __init__(self, settings: WorkerSettings, on_event: OnMediaEvent, on_alarm: OnAlarm) -> None:
        self._settings = settings
        self._on_event = on_event
        self._on_alarm = on_alarm
        self._sessions: set[SessionId] = set()
        self.restarts = 0
        """Of the worker, since the start."""
        self.packets = dict.fromkeys(("received", "sent", "lost", "refused"), 0)
        """RTP packets of all sessions that have ended, as their last statistics say."""
        self._recordings: dict[RecordingId, SessionId] = {}
        self._link: _Link | None = None
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def start(
        cls, settings: WorkerSettings, on_event: OnMediaEvent, on_alarm: OnAlarm = lambda slug, detail: None
    ) -> WorkerPort:
        """Spawn the worker and wait until it is ready. Raises `MediaWorkerError`."""
        port = cls(settings, on_event, on_alarm)
        await port._spawn()
        return port

    @property
    def pid(self) -> int | None:
        """Of the running worker."""
        return self._link.process.pid if self._link else None

    @property
    def sessions(self) -> int:
        """Those that are open."""
        return len(self._sessions)

    def send(self, command: AnyMediaCommand) -> None:
        """See `MediaPort.send`."""
        if self._link is None or self._link.closing:
            self._refuse(command, NO_WORKER)
        elif not self._link.write(command):
            self._refuse(command, OVERLOAD)
        elif isinstance(command, OpenSession):
            self._sessions.add(command.session)

    async def close(self) -> None:
        """See `MediaPort.close`; events of the last closings are still delivered."""
        self._closing = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._link is not None:
            await self._link.end()
            self._link = None

    # --- inside ---

    def _refuse(self, command: AnyMediaCommand, reason: str) -> None:
        failed = MediaFailed(
            session=command.session,
            command=type(command).__name__,
            reason=reason,
            playback=getattr(command, "playback", None),
            recording=getattr(command, "recording", None),
        )
        asyncio.get_running_loop().call_soon(self._tell, failed)

    def _tell(self, event: AnyMediaEvent) -> None:
        try:
            self._on_event(event)
        except Exception:
            log.exception("nobody could take %s", type(event).__name__)

    async def _spawn(self) -> None:
        ours, process = self._start_process()
        try:
            _, worker = await asyncio.get_running_loop().create_unix_connection(
                lambda: _Link(process, self._event, self._lost), sock=ours
            )
            async with asyncio.timeout(START_S):
                await worker.ready
        except (TimeoutError, ConnectionError) as error:
            process.kill()
            await asyncio.to_thread(process.wait)
            raise MediaWorkerError(f"the media worker does not start (exit {process.returncode})") from error
        except asyncio.CancelledError:
            process.kill()
            process.wait()
            raise
        self._link = worker

    def _start_process(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        """Our end of the link and the new interpreter that holds the other."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        with theirs:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "engine.media.worker"),
                    *("--link", str(theirs.fileno())),
                    *("--settings", msgspec.json.encode(self._settings).decode()),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        return ours, process

    def _event(self, event: AnyMediaEvent) -> None:
        if isinstance(event, SessionClosed) or (
            isinstance(event, MediaFailed) and event.command == OpenSession.__name__
        ):
            self._sessions.discard(event.session)
            if isinstance(event, SessionClosed):
                self._add(event)
        elif isinstance(event, CaptureStarted):
            self._recordings[event.recording] = event.session
        elif isinstance(event, MediaFailed) and event.recording is not None:
            if event.command == StopCapture.__name__:
                self._recordings.pop(event.recording, None)
        elif isinstance(event, CaptureClosed):
            session = self._recordings.pop(event.recording, event.session)
            event = msgspec.structs.replace(event, session=session)
        self._tell(event)

    def _add(self, closed: SessionClosed) -> None:
        for found in closed.statistics.values():
            self.packets["received"] += found.packets_received
            self.packets["sent"] += found.packets_sent
            self.packets["lost"] += found.packets_lost
            self.packets["refused"] += found.packets_refused

    def _lost(self, worker: _Link) -> None:
        if worker is not self._link or self._closing:
            return
        self._link = None
        sessions, self._sessions = self._sessions, set()
        what = (
            f"the media worker {worker.process.pid} {worker.fault or 'died'}; {len(sessions)} sessions ended"
        )
        log.error("%s", what)
        self._on_alarm("media_failed", what)
        for session in sessions:
            self._tell(WorkerLost(session=session))
        task = asyncio.get_running_loop().create_task(self._restart(worker))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _restart(self, dead: _Link) -> None:
        await dead.end()
        pause_s = FIRST_RESTART_S
        while True:
            try:
                await self._spawn()
                self.restarts += 1
                self._on_alarm("media_recovered", f"the media worker {self.pid} works")
                return
            except (MediaWorkerError, OSError) as error:
                log.error("%s", error)
            await asyncio.sleep(pause_s)
            pause_s = min(LAST_RESTART_S, pause_s * 2)


class _Link(asyncio.Protocol):
    """The engine's end of the link to one worker process."""

    def __init__(
        self, process: subprocess.Popen[bytes], on_event: OnMediaEvent, on_lost: Callable[[_Link], None]
    ) -> None:
        self.process = process
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_event = on_event
        self._on_lost = on_lost
        self._frames = link.FrameReader()
        self.fault = ""
        """Why it was killed, if we did it."""
        self._transport: asyncio.WriteTransport | None = None
        self._gone = asyncio.Event()
        self._heart: Heartbeat | None = None
        self._beat: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's has no such base

    def data_received(self, data: bytes) -> None:
        if self._heart is not None:
            self._heart.heard()
        try:
            for frame in self._frames.feed(data):
                event = link.event(frame)
                if isinstance(event, link.WorkerReady):
                    self._begun()
                elif not isinstance(event, link.Beat):
                    self._on_event(event)
        except link.BrokenLink:
            log.exception("the media worker sent what is no event")
            self._kill("sent what is no event")

    def _begun(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)
            self._heart = Heartbeat(time.monotonic())
            self._look()

    def _look(self) -> None:
        """Each second while the link is up; at its end the worker may take its time to close recordings."""
        if self._heart is None or self._transport is None or self.closing:
            return
        pulse = self._heart.look(time.monotonic())
        if pulse is Pulse.HUNG:
            self._kill(f"did not answer for {LIMIT_S:.0f} s and was killed")
            return
        if pulse is Pulse.BEAT:
            self._transport.write(link.pack(link.Beat()))
        loop = asyncio.get_running_loop()
        self._beat = loop.call_at(next_moment(loop.time(), BEAT_S), self._look)

    def _kill(self, fault: str) -> None:
        self.fault = fault
        self.process.kill()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._beat is not None:
            self._beat.cancel()
        self._gone.set()
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the media worker ended"))
        self._on_lost(self)

    @property
    def closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def write(self, command: AnyMediaCommand) -> bool:
        """False if too much is waiting already."""
        assert self._transport is not None
        if self._transport.get_write_buffer_size() > UNSENT_BYTES:
            return False
        self._transport.write(link.pack(command))
        return True

    async def end(self) -> None:
        """Hang up, read the last events, and see the process end."""
        self._heart = None
        if self._transport is not None and not self.closing:
            self._transport.write_eof()
        try:
            await asyncio.to_thread(self.process.wait, END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)
        await self._gone.wait()
