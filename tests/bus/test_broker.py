"""The embedded broker as the process that it is."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

pytestmark = pytest.mark.wire

_BROKER = [sys.executable, "-m", "engine.bus.broker"]


def test_says_when_it_listens_and_ends_on_sigterm(free_port: int, key_file: Path) -> None:
    with subprocess.Popen(
        [*_BROKER, f"127.0.0.1:{free_port}", str(key_file)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"broker listening on 127.0.0.1:{free_port}\n"
        process.send_signal(signal.SIGINT)  # Ctrl-C is for its parent
        process.terminate()
        assert process.wait() == 0
        assert process.stdout.read() == ""


def test_ends_with_its_parent(free_port: int, key_file: Path) -> None:
    command = [*_BROKER, f"127.0.0.1:{free_port}", str(key_file)]
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys\n"
            f"child = subprocess.Popen({command!r}, stdout=subprocess.PIPE)\n"
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
def test_refuses_other_addresses_than_loopback(argument: str, key_file: Path) -> None:
    ended = subprocess.run([*_BROKER, argument, str(key_file)], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "HOST:PORT" in ended.stderr


def test_says_why_it_cannot_listen(free_port: int, key_file: Path) -> None:
    with subprocess.Popen(
        [*_BROKER, f"127.0.0.1:{free_port}", str(key_file)], stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        first.stdout.readline()
        second = subprocess.run(
            [*_BROKER, f"127.0.0.1:{free_port}", str(key_file)], capture_output=True, text=True, check=False
        )
        first.terminate()
    assert second.returncode == 1
    assert "in use" in second.stderr


@pytest.fixture
def port(free_port: int, key_file: Path) -> Iterator[int]:
    """Of a broker that listens."""
    with subprocess.Popen(
        [*_BROKER, f"127.0.0.1:{free_port}", str(key_file)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield free_port
        process.terminate()


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (None, None),
        ("ringward", None),
        ("ringward", ""),
        ("ringward", "0" * 64),
        ("somebody", (b"k" * 32).hex()),
        ("", (b"k" * 32).hex()),
        ("ringward", (b"k" * 32).hex()[:-1]),
        ("ringw\u00e4rd", "\u00e4"),
    ],
)
async def test_lets_nobody_in_without_the_key(port: int, user: str | None, password: str | None) -> None:
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", port, username=user, password=password, timeout=10):
            pass


async def test_lets_in_who_knows_the_key(port: int) -> None:
    async with aiomqtt.Client("127.0.0.1", port, username="ringward", password=(b"k" * 32).hex()) as client:
        await client.subscribe("#")


@pytest.mark.parametrize("content", [None, b""])
def test_without_a_key_it_does_not_start_or_lets_nobody_in(
    free_port: int, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "other.key"
    if content is not None:
        path.write_bytes(content)
    ended = subprocess.run(
        [*_BROKER, f"127.0.0.1:{free_port}", str(path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
