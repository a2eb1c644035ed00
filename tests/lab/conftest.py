"""The engine between peers of other makes; each test worker in a loopback /16 of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab.peers.asterisk_root import asterisk_root, unavailable
from lab.peers.process import PeerError
from lab.peers.pyvoip_phone import environment
from lab.peers.ringward import CHECKOUT, Ringward, Site, ringward
from lab.peers.sipp import Line
from tests.lab.kit import NUMBERS, Lab


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Site:
    """127.100.0.0/16 for the first worker, the next for the next; without workers there is but one."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "gw0")
    return Site(f"127.{100 + int(worker.removeprefix('gw'))}")


@pytest.fixture
def settings() -> dict[str, str]:
    """Configuration keys that a test wants otherwise: override it by parametrising."""
    return {}


@pytest.fixture
async def engine(site: Site, tmp_path: Path, settings: dict[str, str]) -> AsyncIterator[Ringward]:
    """The real engine process. At the end it must be alive, hold no call and have stumbled over nothing."""
    table = tmp_path / "numbers.csv"
    table.write_text(NUMBERS, encoding="ascii")
    async with ringward(site, tmp_path, {"screening.table": str(table), **settings}) as running:
        yield running
        assert running.peer.alive, running.peer.error("ended during the test")
        await running.calls_over()
        assert not [line for line in running.peer.lines if "Traceback" in line], running.peer.error("failed")


@pytest.fixture
def lab(engine: Ringward, tmp_path: Path) -> Lab:
    """The engine with SIPp on both sides."""
    site = engine.site
    carrier, access = (Line(address, 5060, tmp_path / address) for address in (site.carrier, site.access))
    return Lab(engine, carrier, access)


@pytest.fixture(scope="session")
def asterisk_folder() -> Path:
    """The root with Asterisk, built once; without one the test is skipped and says why."""
    why_not = unavailable()
    if why_not:
        pytest.skip(why_not)
    try:
        return asterisk_root(CHECKOUT / "var" / "lab")
    except PeerError as error:
        pytest.skip(f"the Asterisk peer could not be installed: {error}")


@pytest.fixture(scope="session")
def pyvoip() -> Path:
    """The Python of pyVoIP's environment; without one the test is skipped and says why."""
    try:
        return environment(CHECKOUT / ".venv-pyvoip")
    except PeerError as error:
        pytest.skip(f"pyVoIP could not be installed: {error}")
