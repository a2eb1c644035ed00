"""The console served by uvicorn on loopback, and Debian's Chromium to look at it."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
import uvicorn
from playwright.async_api import Browser, Page, async_playwright

from engine.console.app import create_app
from tests.console.scenes import fill
from tests.console.seed import World, make_world

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)


@dataclass
class Console:
    """A running console, the world behind it, and a page on which nothing may go wrong."""

    world: World
    url: str
    page: Page
    faults: list[str] = field(default_factory=list)
    """What the browser complained of; the test fails for what it does not forgive."""

    def forgive(self, text: str) -> None:
        self.faults[:] = [fault for fault in self.faults if text not in fault]

    async def open(self, path: str) -> Page:
        await self.page.goto(self.url + path)
        return self.page

    async def streaming(self) -> None:
        """Wait until the page's event stream is open."""
        await self.page.wait_for_selector("#stream-state[data-state=open]")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="session")
async def console(browser: Browser, tmp_path: Path) -> AsyncIterator[Console]:
    async with make_world(tmp_path) as world:
        await fill(world)
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(create_app(world.services), log_level="warning", timeout_graceful_shutdown=3)
        )
        serving = asyncio.create_task(server.serve([listening]))
        context = await browser.new_context(
            locale="en-GB", timezone_id="Asia/Shanghai", viewport={"width": 1440, "height": 900}
        )
        context.set_default_timeout(10_000)
        page = await context.new_page()
        made = Console(world, f"http://127.0.0.1:{listening.getsockname()[1]}", page)
        page.on("pageerror", lambda error: made.faults.append(str(error)))
        page.on("console", lambda said: made.faults.append(said.text) if said.type == "error" else None)
        yield made
        await context.close()
        world.feed.close()
        server.should_exit = True
        await serving
        assert made.faults == []
