"""Trunks in the configuration file: what they may say, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.app.config import ConfigError, load_config
from engine.model.address import Address
from engine.model.config import Config
from engine.model.trunk_sections import HealthSection, TranslationSection

WHOLE = """
[sip]
listen = "127.0.20.1:5060"
dns = ["127.0.0.1:5353", "[::1]:53"]

[sip.tls]
listen = "127.0.20.1:5061"
certificate = "c.pem"
key = "k.pem"

[trunk.carrier]
side = "carrier"
match = ["192.0.2.1:5062", "198.51.100.0/24", "2001:db8::1", "*"]
next_hop = "sbc.example.org:5066"
transport = "tcp"
prefixes = ["+8610", "100"]
priority = 2
weight = 30
max_calls = 100
max_calls_per_s = 2.5
failover_statuses = [500, 503]
callers = ["+8613"]
callers_else = "reject"
called_format = "international"

[trunk.carrier.health]
options_s = 10
failures = 4

[[trunk.carrier.next_hops]]
uri = "sips:example.org"
priority = 3

[[trunk.carrier.called_in]]
match = "00"
strip = 2
prefix = "+"
examples = { "008613900000002" = "+8613900000002" }
"""


def load(tmp_path: Path, text: str, *overrides: str) -> Config:
    path = tmp_path / "ringward.toml"
    path.write_text(text)
    return load_config(path, overrides, {})


def refused(tmp_path: Path, lines: str) -> str:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, f'[trunk.x]\nside = "carrier"\n{lines}\n')
    return str(error.value)


def test_every_key_of_a_trunk(tmp_path: Path) -> None:
    config = load(tmp_path, WHOLE)
    trunk = config.trunk["carrier"]
    assert config.sip.dns == (Address("127.0.0.1", 5353), Address("::1", 53))
    assert [(place.uri, place.priority) for place in trunk.places] == [
        ("sip:sbc.example.org:5066;transport=tcp", 1),
        ("sips:example.org", 3),
    ]
    assert trunk.health == HealthSection(options_s=10, failures=4)
    assert trunk.called_in == (
        TranslationSection(match="00", strip=2, prefix="+", examples={"008613900000002": "+8613900000002"}),
    )
    assert trunk.may_carry("+8613800000001") and not trunk.may_carry("+861012345678")


def test_a_name_server_by_override(tmp_path: Path) -> None:
    assert load(tmp_path, "", "sip.dns=127.0.0.1:5353").sip.dns == (Address("127.0.0.1", 5353),)
    with pytest.raises(ConfigError, match="sip: dns: expected host:port"):
        load(tmp_path, '[sip]\ndns = ["127.0.0.1"]')


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('match = ["carrier.example.org"]', "trunk.x.match: 'carrier.example.org' is no address"),
        ('match = ["192.0.2.1/24"]', "has host bits set"),
        ('match = ["192.0.2.1", "192.0.2.1"]', "192.0.2.1 already belongs to trunk.x"),
        ('next_hop = "127.1:5060"', "127.1 is neither an address nor a host name"),
        ('next_hops = [{ uri = "example.org" }]', "malformed URI"),
        ('next_hops = [{ uri = "tel:+86139" }]', "expected sip:host:port;transport=tcp"),
        ('next_hops = [{ uri = "sips:h.example;transport=udp" }]', "sips has no transport udp"),
        ('next_hops = [{ uri = "sips:h.example" }]', "tls needs sip.tls.listen"),
        ('next_hops = [{ uri = "sip:h.example;transport=ws" }]', "ws is for phones, not for trunks"),
        ('next_hops = [{ url = "sip:h.example" }]', "unknown key trunk.x.next_hops.url; did you mean"),
        ('next_hops = [{ uri = "sip:h.example", weight = -1 }]', "weight from 0 to 65535"),
        ('prefixes = ["+86-10"]', "trunk.x.prefixes: '+86-10' is no prefix"),
        ('callers = ["8613*"]', "trunk.x.callers: '8613*' is no prefix"),
        ("max_calls = -1", "must not be negative"),
        ("health = { failures = 0 }", "failures and recoveries are at least 1"),
        ("health = { timeout_s = 0 }", "timeout_s and retry_s must be more than 0"),
        ("failover_statuses = [603]", "only 400 to 599"),
        ('called_in = [{ match = "a" }]', "match and prefix are digits"),
        ("called_in = [{ strip = 99 }]", "0 to 32"),
        (
            'called_in = [{ match = "0", strip = 1, examples = { "010" = "99" } }]',
            "trunk.x.called_in: 010 becomes 10, the example says 99",
        ),
        ('callers_else = "drop"', "callers_else"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, lines: str, said: str) -> None:
    assert said in refused(tmp_path, lines)
