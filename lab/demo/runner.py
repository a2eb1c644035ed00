"""Starts the system and the phones, plays the scenario, writes the report, stays up until told to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console as Terminal

from engine.app.keys import load_keys
from engine.app.processes import stop_event
from engine.app.supervisor import Supervisor
from engine.cli.serve import children
from engine.model.address import Address
from engine.model.config import Config
from lab.demo.checks import CallReport, Report
from lab.demo.narration import Narrator
from lab.demo.phones import Missing, PhoneProcess
from lab.demo.records import Console, JournalTail, PopupStream
from lab.demo.scenario import SCENARIO, SUBSCRIBER, Stage
from lab.phones.messages import HangUp

STREAM_LIMIT_S = 20.0
LINES = Path(__file__).parents[1] / "speech" / "lines" / "en"


async def run_demo(
    config: Config, config_file: Path, overrides: Sequence[str], *, once: bool, terminal: Terminal
) -> int:
    """Play the scenario; 0 only if every expectation held. Raises ChildFailed or Missing."""
    narrator = Narrator(terminal)
    began = time.monotonic()
    report = Report(started=datetime.now(UTC).isoformat(timespec="seconds"))
    path = config.data.folder / "report.json"
    stop = stop_event()
    load_keys(config.data.folder)  # made before the broker asks for its own
    async with AsyncExitStack() as stack:
        supervisor = Supervisor(
            children(config, config_file, list(overrides)),
            lambda line: terminal.print(f"  {line}", style="dim"),
        )
        terminal.print("Starting the system …")
        await supervisor.start()
        stack.push_async_callback(supervisor.stop)
        stage = await _stage(config, narrator, stack)
        play = asyncio.create_task(_play(stage, report, narrator))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((play, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not play.done():
            play.cancel()
            await asyncio.gather(play, return_exceptions=True)
        report.finish(len(SCENARIO), time.monotonic() - began)
        report.write(path)
        _summary(report, path, config, terminal)
        if not once and not stop.is_set():
            terminal.print("Staying up; Ctrl-C ends it.")
            await stopped
        stopped.cancel()
        terminal.print("Stopping …")
    return 0 if report.ok else 1


async def _stage(config: Config, narrator: Narrator, stack: AsyncExitStack) -> Stage:
    async def phone(name: str, host: str) -> PhoneProcess:
        started = await PhoneProcess.start(name, Address(host, 5060), LINES, narrator.phone)
        stack.push_async_callback(started.close)
        return started

    journal = JournalTail(config.journal_folder, narrator.record)
    stack.callback(journal.close)
    popups = PopupStream(config.console.host, config.console.port, time.monotonic)
    for work in (journal.run(), popups.run(SUBSCRIBER)):
        task = asyncio.create_task(work)
        stack.callback(task.cancel)
    try:
        async with asyncio.timeout(STREAM_LIMIT_S):
            await popups.ready.wait()
    except TimeoutError:
        raise Missing("the console opened no event stream") from None
    return Stage(
        engine=str(config.sip.listen),
        carrier=await phone("carrier", "127.0.10.1"),
        transit=await phone("transit", "127.0.10.2"),
        subscriber=await phone("subscriber", "127.0.30.1"),
        journal=journal,
        console=Console(f"http://{config.console.host}:{config.console.port}"),
        popups=popups,
    )


async def _play(stage: Stage, report: Report, narrator: Narrator) -> None:
    for call in SCENARIO:
        title = (call.__doc__ or "").strip()
        stage.report = CallReport(name=call.__name__, title=title)
        report.calls.append(stage.report)
        narrator.title(stage.report)
        try:
            await call(stage)
        except Missing as missing:
            stage.expect("everything that was waited for happened", False, missing)
            for phone in (stage.carrier, stage.transit, stage.subscriber):
                phone.order(HangUp())  # the next call begins with idle phones
        narrator.result(stage.report)


def _summary(report: Report, path: Path, config: Config, terminal: Terminal) -> None:
    held = sum(check.held for call in report.calls for check in call.checks)
    total = sum(len(call.checks) for call in report.calls)
    style = "bold green" if report.ok else "bold red"
    terminal.print()
    terminal.print(
        f"{held} of {total} expectations held in {len(report.calls)} calls, {report.duration_s} s",
        style=style,
    )
    terminal.print(f"Report: {path}")
    terminal.print(f"Console: http://{config.console.host}:{config.console.port}", style="bold")
