"""A small client of the Asterisk Manager Interface: actions out, events in.

The manager speaks blocks of `Key: value` lines ended by an empty line, both ways, after a one-line greeting.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Self

from lab.peers.process import PeerError

Block = Mapping[str, str]


class Ami:
    """One logged-in connection. Every event since the log-in is kept in `events`, oldest first."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.events: list[Block] = []
        self._answers: dict[str, asyncio.Future[Block]] = {}
        self._writer = writer
        self._arrived = asyncio.Condition()
        self._last_id = 0
        self._task = asyncio.create_task(self._read(reader))

    @classmethod
    async def connect(cls, address: str, port: int, user: str, secret: str) -> Self:
        """Connect and log in. Raises OSError while nothing listens, PeerError on a refusal."""
        reader, writer = await asyncio.open_connection(address, port)
        await reader.readline()  # "Asterisk Call Manager/…"
        ami = cls(reader, writer)
        await ami.action("Login", Username=user, Secret=secret, Events="on")
        return ami

    async def action(self, name: str, variables: Mapping[str, str] | None = None, **fields: str) -> Block:
        """Send one action and return its response block. Raises PeerError where Asterisk answers Error."""
        self._last_id += 1
        action_id = str(self._last_id)
        answer: asyncio.Future[Block] = asyncio.get_running_loop().create_future()
        self._answers[action_id] = answer
        lines = [f"Action: {name}", f"ActionID: {action_id}", *(f"{k}: {v}" for k, v in fields.items())]
        lines += [f"Variable: {key}={value}" for key, value in (variables or {}).items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(10):
            block = await answer
        if block["Response"] == "Error":
            raise PeerError(f"Asterisk refused {name}: {block.get('Message', '')}")
        return block

    async def event(self, name: str, match: Callable[[Block], bool], deadline_s: float) -> Block:
        """The first kept event called `name` for which `match` holds, awaited if it has not come yet.

        User events are named by their `UserEvent` key. Raises PeerError at the deadline.
        """

        def found() -> Block | None:
            for block in self.events:
                if name in (block["Event"], block.get("UserEvent")) and match(block):
                    return block
            return None

        try:
            async with asyncio.timeout(deadline_s), self._arrived:
                await self._arrived.wait_for(lambda: found() is not None)
        except TimeoutError:
            seen = [block.get("UserEvent", block["Event"]) for block in self.events[-12:]]
            raise PeerError(f"Asterisk sent no matching {name} in {deadline_s:g} s; last: {seen}") from None
        block = found()
        assert block is not None
        return block

    async def close(self) -> None:
        """Drop the connection; Asterisk ends the session by itself."""
        self._task.cancel()
        self._writer.close()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while block := await self._block(reader):
            answer = self._answers.pop(block.get("ActionID", ""), None) if "Response" in block else None
            if answer is not None and not answer.done():
                answer.set_result(block)
            elif "Event" in block:
                self.events.append(block)
                async with self._arrived:
                    self._arrived.notify_all()

    @staticmethod
    async def _block(reader: asyncio.StreamReader) -> dict[str, str]:
        """The next block, empty at the end of the connection. A repeated key's values become lines of one."""
        block: dict[str, str] = {}
        while line := await reader.readline():
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if not text and block:
                return block
            key, separator, value = text.partition(":")
            if separator:
                block[key] = f"{block[key]}\n{value.strip()}" if key in block else value.strip()
        return block
