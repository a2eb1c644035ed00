"""Real brokers as child processes, each on a port of its own."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
_ports = itertools.count(18900 + 50 * int(_worker))


def _free_port() -> int:
    for port in _ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError


@pytest.fixture
def free_port() -> int:
    return _free_port()


class BrokerProcess:
    """A broker that can be killed and started again on the same port."""

    def __init__(self, command: Callable[[int], list[str]], key: bytes) -> None:
        self.key = key
        self.port = _free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command(self.port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            assert self._process.poll() is None, "the broker did not start"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


KEY = b"k" * 32


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "bus.key"
    path.write_bytes(KEY)
    return path


@pytest.fixture(params=["embedded", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path, key_file: Path) -> Iterator[BrokerProcess]:
    """The embedded broker, and Mosquitto where it is installed; running."""

    def embedded(port: int) -> list[str]:
        return [sys.executable, "-m", "engine.bus.broker", f"127.0.0.1:{port}", str(key_file)]

    command, key = embedded, KEY
    if request.param == "mosquitto":
        mosquitto = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if mosquitto is None:
            pytest.skip("mosquitto is not installed (apt install mosquitto)")
        configuration = tmp_path / "mosquitto.conf"

        def command(port: int) -> list[str]:
            configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
            return [mosquitto, "-c", str(configuration)]

        key = b""
    process = BrokerProcess(command, key)
    process.start()
    yield process
    process.kill()
