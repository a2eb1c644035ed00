"""Supervision of real processes: order, restarts, ends, and nobody left behind."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from engine.app.supervisor import Child, ChildFailed, Supervisor

PATIENCE_S = 30.0
READY = "import signal, sys\nprint('{name} listening', flush=True)\n"
OBEYS = READY + "signal.sigwait([signal.SIGTERM])\nopen({log!r}, 'a').write('{name}\\n')\n"
"""Says when it was told to end."""
SLOW = (
    READY
    + "signal.sigwait([signal.SIGTERM])\nprint('{name} drains', flush=True)\n"
    + "signal.sigwait([signal.SIGTERM])\nopen({log!r}, 'a').write('{name}\\n')\n"
)
"""Wants to hear it twice."""
DEAF = READY + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()\n"


class Lines:
    """What the children print."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._changed = asyncio.Event()

    def __call__(self, line: str) -> None:
        self.said.append(line)
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "ended.log"


def child(code: str, name: str, log: Path) -> Child:
    text = code.format(name=name, log=str(log))
    if "sigwait" in text:
        text = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n" + text
    return Child(name, ("-c", text))


@asynccontextmanager
async def running(children: list[Child], lines: Lines, **limits: float) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(children, lines, **limits)
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.stop()


def ended(log: Path) -> list[str]:
    """Who obeyed, in order."""
    return log.read_text().split()


def alive(pid: int | None) -> bool:
    return pid is not None and psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"


async def test_started_in_order_and_stopped_in_the_opposite_one(log: Path) -> None:
    lines = Lines()
    names = ["broker", "console", "engine"]
    async with running([child(OBEYS, name, log) for name in names], lines) as supervisor:
        assert lines.said == [f"{name} listening" for name in names]
        pids = [supervisor.pid(name) for name in names]
        assert all(map(alive, pids))
    assert ended(log) == names[::-1]
    assert not any(map(alive, pids))
    assert [supervisor.pid(name) for name in names] == [None] * 3


async def test_each_waits_for_the_one_before(log: Path) -> None:
    """The second looks for what the first does before it is ready."""
    marker = log.with_name("made")
    first = f"open({str(marker)!r}, 'w').close()\n" + OBEYS
    second = f"import os; assert os.path.exists({str(marker)!r})\n" + OBEYS
    lines = Lines()
    async with running([child(first, "first", log), child(second, "second", log)], lines):
        assert lines.said == ["first listening", "second listening"]


async def test_a_killed_child_is_started_again(log: Path) -> None:
    lines = Lines()
    children = [child(OBEYS, "one", log), child(OBEYS, "two", log)]
    async with running(children, lines, restart_after_s=0.01) as supervisor:
        first, other = supervisor.pid("one"), supervisor.pid("two")
        assert first is not None
        psutil.Process(first).kill()
        await lines.until(lambda: lines.said.count("one listening") == 2)
        again = supervisor.pid("one")
        assert alive(again) and again != first
        assert supervisor.pid("two") == other
    assert not alive(again)


async def test_one_that_dies_when_started_again_is_tried_on(log: Path) -> None:
    """Its second start fails, its third works."""
    counter = log.with_name("starts")
    code = (
        f"import sys\nopen({str(counter)!r}, 'a').write('x')\n"
        f"if len(open({str(counter)!r}).read()) == 2: sys.exit(3)\n" + OBEYS
    )
    lines = Lines()
    async with running([child(code, "one", log)], lines, restart_after_s=0.01) as supervisor:
        pid = supervisor.pid("one")
        assert pid is not None
        psutil.Process(pid).kill()
        await lines.until(lambda: lines.said.count("one listening") == 2)
    assert counter.read_text() == "xxx"


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit(2)",
        "import sys, time; sys.stdout.close(); time.sleep(60)",
        "import time; time.sleep(60)",
    ],
    ids=["ends", "closes its output", "says nothing"],
)
async def test_one_that_does_not_start_leaves_none_running(log: Path, code: str) -> None:
    lines = Lines()
    children = [child(OBEYS, "good", log), Child("bad", ("-c", code)), child(OBEYS, "never", log)]
    supervisor = Supervisor(children, lines, ready_limit_s=60 if "exit" in code else 1.0)
    with pytest.raises(ChildFailed, match="bad did not start"):
        await supervisor.start()
    assert lines.said == ["good listening"]
    assert ended(log) == ["good"]
    assert [supervisor.pid(name) for name in ("good", "bad", "never")] == [None] * 3


async def test_a_deaf_one_is_killed_at_the_limit(log: Path) -> None:
    lines = Lines()
    children = [child(OBEYS, "good", log), child(DEAF, "deaf", log)]
    async with running(children, lines, stop_limit_s=0.2) as supervisor:
        pid = supervisor.pid("deaf")
    assert not alive(pid)
    assert ended(log) == ["good"]


async def test_one_that_takes_its_time_is_told_a_second_time(log: Path) -> None:
    hurry, lines = asyncio.Event(), Lines()
    supervisor = Supervisor([child(SLOW, "slow", log)], lines, stop_limit_s=PATIENCE_S, hurry=hurry)
    await supervisor.start()
    stopping = asyncio.create_task(supervisor.stop())
    await lines.until(lambda: "slow drains" in lines.said)
    hurry.set()
    await stopping
    assert ended(log) == ["slow"]


async def test_stopped_while_one_waits_to_be_started_again(
    log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not: nobody would end it."""
    lines = Lines()
    children = [child(DEAF, "deaf", log), child(OBEYS, "one", log)]
    async with running(children, lines, restart_after_s=0.1, stop_limit_s=0.5) as supervisor:
        pid = supervisor.pid("one")
        assert pid is not None
        psutil.Process(pid).send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            while "restarted in" not in caplog.text:  # noqa: ASYNC110 (nothing else tells)
                await asyncio.sleep(0.005)
    assert supervisor.pid("one") is None
    assert lines.said.count("one listening") == 1


async def test_what_children_print_is_passed_on(log: Path) -> None:
    lines = Lines()
    code = "print('before', flush=True)\n" + OBEYS.replace(
        "signal.sigwait", "print('after', flush=True)\nsignal.sigwait"
    )
    async with running([child(code, "one", log)], lines):
        await lines.until(lambda: lines.said == ["before", "one listening", "after"])


PARENT = """
import asyncio, sys
from engine.app.supervisor import Child, Supervisor
CODE = '''
import os, signal
from recordings.parent import die_with_parent
die_with_parent()
print("child", os.getpid(), "listening", flush=True)
signal.pause()
'''
async def main():
    supervisor = Supervisor([Child("one", ("-c", CODE))], lambda line: print(line, flush=True))
    await supervisor.start()
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_children_die_with_their_parent(how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline().split()[1])
        process = psutil.Process(pid)
        parent.send_signal(how)
        parent.wait(PATIENCE_S)
        process.wait(PATIENCE_S)
    assert not alive(pid)
