"""A PostgreSQL server of one's own that can be killed and started again on the same data."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lab.soak.system import System

_QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class PostgresMissing(Exception):
    """There is none here that we may run; the text says what to install."""


class Postgres:
    """Listens on a socket in a folder of its own; as root it runs as the user postgres."""

    def __init__(self) -> None:
        """Raises PostgresMissing."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
        if not found:
            raise PostgresMissing("PostgreSQL is not installed (apt install postgresql)")
        self._programs = found[-1].parent
        self._user: dict[str, Any] = {}
        # a short path: sockets have names of at most 107 bytes
        self._folder = Path(tempfile.mkdtemp(prefix="rw-pg-"))
        if os.geteuid() == 0:
            try:
                owner = pwd.getpwnam("postgres")
            except KeyError:
                shutil.rmtree(self._folder)
                raise PostgresMissing("there is no user postgres for it to run as") from None
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
            self._user = {
                "user": owner.pw_uid,
                "group": owner.pw_gid,
                "extra_groups": [],
                "cwd": self._folder,
            }
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://ringward@/postgres?host={self._folder}"

    async def start(self) -> None:
        """The data is made at the first start."""
        data = self._folder / "data"
        if not data.exists():
            make: list[str | Path] = ["-D", data, "-U", "ringward", "-A", "trust", "-E", "UTF8", "--no-sync"]
            assert not await self._ended(["initdb", *make], self._user)
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self._folder}"]
        self._server = await asyncio.to_thread(self._run, ["postgres", "-D", data, *options], self._user)
        while await self._ended(["pg_isready", "-h", self._folder], {}):
            if self._server.poll() is not None:
                raise PostgresMissing("PostgreSQL did not start")
            await asyncio.sleep(0.05)

    def _run(self, command: Sequence[str | Path], user: dict[str, Any]) -> subprocess.Popen[bytes]:
        return subprocess.Popen([self._programs / command[0], *command[1:]], **user, **_QUIET)

    async def _ended(self, command: Sequence[str | Path], user: dict[str, Any]) -> int:
        """The exit code."""
        return await asyncio.to_thread(lambda: self._run(command, user).wait())

    async def kill(self) -> None:
        """As a crash: every connection breaks, and the next start recovers."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            await asyncio.to_thread(self._server.wait)
            self._server = None

    async def close(self) -> None:
        await self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @asynccontextmanager
    async def down(self, system: System) -> AsyncIterator[None]:
        """An outage of the store of `system`."""
        await self.kill()
        try:
            yield
        finally:
            await self.start()
