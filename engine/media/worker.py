"""The media worker process: `python -m engine.media.worker --link FD --settings JSON`.

Started by `WorkerPort`; lives as long as the link does. When the engine is gone, running captures are closed
and the process ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from engine import logs
from engine.media import link
from engine.media.disk import Disk
from engine.media.endpoint import Endpoint
from engine.media.failures import INTERNAL, SESSION_EXISTS, UNKNOWN_SESSION, CommandError
from engine.media.ports import PortPool
from engine.media.reports import INTERVAL_S
from engine.media.session import Session, Surroundings
from engine.media.settings import WorkerSettings
from engine.media.sounds import SoundLibrary
from engine.media.ticker import Ticker
from engine.model.ids import SessionId
from engine.model.media import (
    AddEndpoint,
    AnyMediaCommand,
    AnyMediaEvent,
    CloseSession,
    MediaFailed,
    OpenSession,
    Play,
    PlayTone,
    RemoveEndpoint,
    SendDtmf,
    SetRemote,
    SetRoutes,
    StartCapture,
    StopCapture,
    StopPlayback,
)
from recordings.chain import ChainWriter
from recordings.manifest import ENGINE_ENDED
from recordings.parent import die_with_parent

log = logging.getLogger("ringward.media")

CHORES_S = 0.25
"""While there are sessions: captures are handed to the disk so often, silence and reports are looked at once
in each second. Shorter than a key press may stay without a packet."""
KEYS_DOWN_S = 0.1
"""The same while a key is down."""
UNREAD_EVENTS_BYTES = 16 << 20
"""An engine that leaves so much unread is as good as dead."""
LAST_WRITES_S = 10.0
LAST_WORDS_S = 1.0


class MediaWorker(asyncio.Protocol):
    """Everything of the process that lives on its one loop."""

    def __init__(self, settings: WorkerSettings, ports: PortPool, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._frames = link.FrameReader()
        self._sessions: dict[SessionId, Session] = {}
        self.ended: asyncio.Future[None] = loop.create_future()
        """Every session has been closed."""
        self._unlinked = asyncio.Event()
        recordings = Path(settings.recordings_folder)
        disk = Disk(
            recordings,
            lambda: ChainWriter(
                recordings, settings.name, heads=Path(settings.chain_heads), key=Path(settings.chain_key)
            ),
            self._tell_from_disk,
        )
        sounds = SoundLibrary(Path(settings.prompts_folder))
        self._parts = Surroundings(
            settings=settings,
            ports=ports,
            sounds=sounds,
            disk=disk,
            tell=self._tell,
            on_disk_done=self._from_disk,
            watch=self._watch,
            unwatch=self._unwatch,
            ticker=Ticker(loop),
        )
        self._busy = False
        """The next chores are set."""
        self._second = 0
        """In which silence was last looked at."""

    def begin(self) -> None:
        """Be ready for commands, and say so."""
        if not self._parts.sounds.preload():
            log.warning("no prompts in %s", self._parts.settings.prompts_folder)
        self._parts.disk.start()
        if self._transport is not None:
            self._transport.write(link.pack(link.WorkerReady(os.getpid())))

    # --- the link ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                command = link.command(frame)
                if not isinstance(command, link.Beat):
                    self._carry_out(command)
                elif self._transport is not None:
                    self._transport.write(link.pack(command))
        except link.BrokenLink:
            log.exception("the engine sent what is no command")
            self.end()

    def eof_received(self) -> bool:
        self.end()
        return True  # what became of the recordings is still to be told

    def connection_lost(self, exc: Exception | None) -> None:
        self._unlinked.set()
        self.end()

    def end(self) -> None:
        """Close every session, its captures first."""
        if not self.ended.done():
            self.ended.set_result(None)
            for session in list(self._sessions.values()):
                session.close(ENGINE_ENDED, time.monotonic())
            self._sessions.clear()

    async def finish(self) -> None:
        """Wait for the disk, tell the engine, hang up."""
        if not await asyncio.to_thread(self._parts.disk.end, LAST_WRITES_S):
            log.error("recordings were still being written after %s s", LAST_WRITES_S)
        if self._transport is not None:
            self._transport.close()
            async with asyncio.timeout(LAST_WORDS_S):
                await self._unlinked.wait()

    def _tell(self, event: AnyMediaEvent) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > UNREAD_EVENTS_BYTES:
            log.error("the engine does not read its events")
            self.end()
            return
        self._transport.write(link.pack(event))

    def _tell_from_disk(self, event: AnyMediaEvent) -> None:
        self._loop.call_soon_threadsafe(self._tell, event)

    def _from_disk(self, callback: Callable[[], None]) -> Callable[[], None]:
        def call() -> None:
            self._loop.call_soon_threadsafe(callback)

        return call

    # --- commands ---

    def _carry_out(self, command: AnyMediaCommand) -> None:
        try:
            self._dispatch(command, time.monotonic())
        except CommandError as error:
            self._fail(command, error.reason, error.detail)
        except Exception as error:
            log.exception("%s failed", type(command).__name__)
            self._fail(command, INTERNAL, repr(error))

    def _dispatch(self, command: AnyMediaCommand, now: float) -> None:
        if isinstance(command, OpenSession):
            self._open(command, now)
            return
        session = self._sessions.get(command.session)
        if session is None:
            raise CommandError(UNKNOWN_SESSION, command.session)
        match command:
            case AddEndpoint():
                session.add_endpoint(command.endpoint, now)
            case RemoveEndpoint():
                session.remove_endpoint(command.endpoint)
            case SetRemote():
                session.set_remote(command, now)
            case SetRoutes():
                session.set_routes(command.routes)
            case Play():
                session.play(command)
            case PlayTone():
                session.play_tone(command)
            case StopPlayback():
                session.stop_playback(command.playback)
            case SendDtmf():
                session.send_dtmf(command)
            case StartCapture():
                session.start_capture(command, now)
            case StopCapture():
                session.stop_capture(command.recording, "stopped", now)
            case CloseSession():
                del self._sessions[command.session]
                session.close("session-closed", now)

    def _open(self, command: OpenSession, now: float) -> None:
        if command.session in self._sessions:
            raise CommandError(SESSION_EXISTS, command.session)
        session = Session(command.session, self._parts)
        session.open(command.endpoints, now)
        self._sessions[command.session] = session
        if not self._busy:
            self._busy = True
            self._loop.call_later(CHORES_S, self._chores)

    def _fail(self, command: AnyMediaCommand, reason: str, detail: str) -> None:
        self._tell(
            MediaFailed(
                session=command.session,
                command=type(command).__name__,
                reason=reason,
                detail=detail,
                playback=getattr(command, "playback", None),
                recording=getattr(command, "recording", None),
            )
        )

    # --- sockets and clocks ---

    def _watch(self, endpoint: Endpoint) -> None:
        endpoint.next_report_at = time.monotonic() + INTERVAL_S * (0.5 + os.urandom(1)[0] / 256)
        self._loop.add_reader(endpoint.pair.rtp, endpoint.readable)
        self._loop.add_reader(endpoint.pair.rtcp, endpoint.rtcp_readable)

    def _unwatch(self, endpoint: Endpoint) -> None:
        self._loop.remove_reader(endpoint.pair.rtp)
        self._loop.remove_reader(endpoint.pair.rtcp)

    def _chores(self) -> None:
        now = time.monotonic()
        keys_down = self._parts.keys_down
        for endpoint in [key for key in keys_down if not key.expire_keys(now)]:
            keys_down.discard(endpoint)
        sessions = self._sessions.values()
        for session in sessions:
            session.flush_captures(now)
        if self._second != int(now):
            self._second = int(now)
            for session in sessions:
                session.check_silence(now)
                self._look_after(session, now)
        self._busy = bool(sessions)
        if self._busy:
            self._loop.call_later(KEYS_DOWN_S if keys_down else CHORES_S, self._chores)

    def _look_after(self, session: Session, now: float) -> None:
        for endpoint in session.endpoints.values():
            endpoint.renew_allowance()
            if now >= endpoint.next_report_at:
                endpoint.next_report_at = now + INTERVAL_S
                endpoint.send_report()


async def _serve(link_fd: int, settings: WorkerSettings, ports: PortPool) -> None:
    loop = asyncio.get_running_loop()
    worker = MediaWorker(settings, ports, loop)
    loop.add_signal_handler(signal.SIGTERM, worker.end)
    await loop.create_unix_connection(lambda: worker, sock=socket.socket(fileno=link_fd))
    worker.begin()
    await worker.ended
    with contextlib.suppress(TimeoutError):
        await worker.finish()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m engine.media.worker", description=__doc__)
    parser.add_argument("--link", type=int, required=True, help="file descriptor of the socket to the engine")
    parser.add_argument("--settings", required=True, help="WorkerSettings as JSON")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the engine's to hear: it ends calls in order
    die_with_parent()
    settings = msgspec.json.decode(arguments.settings, type=WorkerSettings)
    logs.configure("media", settings.log_level, settings.log_format)
    try:
        ports = PortPool(settings.host, settings.first_port, settings.last_port)
    except (OSError, ValueError) as error:
        sys.exit(f"the media worker cannot use {settings.host!r}: {error}")
    uvloop.run(_serve(arguments.link, settings, ports))


if __name__ == "__main__":
    main()
