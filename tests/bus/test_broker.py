"""The embedded broker as the process that it is."""

import os
import select
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.wire

_BROKER = [sys.executable, "-m", "engine.bus.broker"]


def test_says_when_it_listens_and_ends_on_sigterm(free_port: int) -> None:
    with subprocess.Popen([*_BROKER, f"127.0.0.1:{free_port}"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"broker listening on 127.0.0.1:{free_port}\n"
        process.send_signal(signal.SIGINT)  # Ctrl-C is for its parent
        process.terminate()
        assert process.wait() == 0
        assert process.stdout.read() == ""


def test_ends_with_its_parent(free_port: int) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys\n"
            f"child = subprocess.Popen({[*_BROKER, f'127.0.0.1:{free_port}']!r}, stdout=subprocess.PIPE)\n"
            "child.stdout.readline()\n"
            "print(child.pid, flush=True)\n"
            "child.wait()\n",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    handle = os.pidfd_open(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert select.select([handle], [], [], 60)[0]
    os.close(handle)


@pytest.mark.parametrize("argument", ["0.0.0.0:1883", "localhost:1883", "127.0.0.1", ""])
def test_refuses_other_addresses_than_loopback(argument: str) -> None:
    ended = subprocess.run([*_BROKER, argument], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "HOST:PORT" in ended.stderr


def test_says_why_it_cannot_listen(free_port: int) -> None:
    with subprocess.Popen([*_BROKER, f"127.0.0.1:{free_port}"], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        first.stdout.readline()
        second = subprocess.run(
            [*_BROKER, f"127.0.0.1:{free_port}"], capture_output=True, text=True, check=False
        )
        first.terminate()
    assert second.returncode == 1
    assert "in use" in second.stderr
