"""`route.next_hop`: one next hop for every call, as the trunks that it stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.app.config import ConfigError, load_config
from engine.app.engine import call_settings
from engine.call.sources import Sources
from engine.model.address import Address
from lab.peers.ringward import CHECKOUT

PASSTHROUGH = CHECKOUT / "lab" / "passthrough.toml"


def test_the_shipped_file() -> None:
    config = load_config(PASSTHROUGH, ["route.next_hop=127.0.0.1:5072"], {})
    assert set(config.trunk) == {"anyone", "route"}
    assert config.trunk["route"].next_hop == Address("127.0.0.1", 5072)
    assert not config.trunk["anyone"].announce_608
    settings = call_settings(config)
    assert settings.anchor_always and settings.as_it_came == "route"
    assert config.media.rtp_timeout_s == 45


def test_the_next_hop_is_told_from_callers_on_its_host_by_its_port() -> None:
    config = load_config(PASSTHROUGH, ["route.next_hop=127.0.0.1:5062"], {})
    sources = Sources({name: trunk.match for name, trunk in config.trunk.items()})
    assert sources.of(("127.0.0.1", 5062)) == "route"
    assert sources.of(("127.0.0.1", 5061)) == sources.of(("192.0.2.1", 5060)) == "anyone"


def test_a_transport_of_its_own() -> None:
    config = load_config(PASSTHROUGH, ["route.transport=tcp"], {})
    assert config.trunk["route"].transport == "tcp"
    assert call_settings(config).as_it_came == ""


def test_names_that_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[route]\nnext_hop = "127.0.0.1:5062"\n[trunk.route]\nside = "access"\n')
    with pytest.raises(ConfigError, match=r"route\.next_hop makes trunk\.route itself"):
        load_config(file, (), {})


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("route.next_hop=5062", "host:port"),
        ("route.nexthop=127.0.0.1:5062", r"did you mean route\.next_hop"),
        ("route.transport=sctp", "transport"),
        ("media.anchor=sometimes", "anchor"),
        ("sip.redirects=many", "expected a number"),
    ],
)
def test_what_cannot_be(override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_config(PASSTHROUGH, [override], {})
