"""The configuration file, its overrides, and what is said of mistakes in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.app.config import ConfigError, load_config
from engine.model.address import Address, PortRange
from engine.model.config import Config

RECORDING = '[recording]\nenabled = true\npurpose = "p"\nlegal_basis = "b"\nretention_days = 7\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "etc" / "ringward.toml"
    path.parent.mkdir()
    return path


def load(file: Path, text: str, *overrides: str, **environment: str) -> Config:
    file.write_text(text)
    return load_config(file, overrides, environment)


def refused(file: Path, text: str, *overrides: str, **environment: str) -> str:
    with pytest.raises(ConfigError) as error:
        load(file, text, *overrides, **environment)
    return str(error.value)


# --- values ---


def test_every_kind_of_value(file: Path) -> None:
    config = load(
        file,
        """
        tenant = "lab"
        [sip]
        listen = "127.0.20.1:5062"
        no_answer_s = 30
        [media]
        ports = "20000-20099"
        [trunk.carrier]
        side = "carrier"
        match = ["127.0.10.1", "127.0.10.2"]
        next_hop = "[::1]:5060"
        announce_608 = false
        [subscribers]
        languages = { "+8613900000001" = "en" }
        """,
    )
    assert config.sip.listen == Address("127.0.20.1", 5062)
    assert config.sip.no_answer_s == 30.0
    assert config.media.ports == PortRange(20000, 20099)
    trunk = config.trunk["carrier"]
    assert (trunk.match, trunk.next_hop) == (("127.0.10.1", "127.0.10.2"), Address("::1", 5060))
    assert config.language_of("+8613900000001") == "en"
    assert config.language_of("+8613900000002") == "zh-CN"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[console]\nport = '8080'\n", "Expected `int`, got `str`"),
        ("[console]\nport = 80.5\n", "Expected `int`, got `float`"),
        ("[popup]\nsip_message = 1\n", "Expected `bool`, got `int`"),
        ("tenant = 5\n", "Expected `str`, got `int`"),
        ("[trunk.a]\nside = 'sideways'\n", "Invalid enum value 'sideways'"),
        ("[trunk.a]\nmatch = '127.0.0.1'\nside = 'carrier'\n", "Expected `array`, got `str`"),
        ("[trunk.a]\n", "missing required field `side`"),
        ("sip = 5\n", "Expected `object`, got `int`"),
    ],
)
def test_wrong_types_name_the_key(file: Path, text: str, said: str) -> None:
    error = refused(file, text)
    assert said in error
    assert str(file) in error


@pytest.mark.parametrize(
    "value",
    ["5060", "host:", "host:port", "host:99999", "a b:1", "::1:5060", "host:５060", "host:-1", "host:123456"],
)
def test_what_is_no_address(file: Path, value: str) -> None:
    assert f"listen: expected host:port, not '{value}'" in refused(file, f'[sip]\nlisten = "{value}"\n')


@pytest.mark.parametrize("value", ["1", "2-1", "5-5", "0-10", "1-70000", "a-b", "1 - 2"])
def test_what_is_no_range_of_ports(file: Path, value: str) -> None:
    assert "ports: expected low-high" in refused(file, f'[media]\nports = "{value}"\n')


def test_files_that_cannot_be_read(tmp_path: Path, file: Path) -> None:
    assert "no such file" in refused_path(tmp_path / "none.toml")
    assert "cannot be read" in refused_path(tmp_path)
    file.write_bytes(b"tenant = '\xff'\n")
    assert "cannot be read" in refused_path(file)
    assert "line 2" in refused(file, "tenant = 'a'\n[sip\n")


def refused_path(path: Path) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(path, (), {})
    assert str(path) in str(error.value)
    return str(error.value)


# --- unknown keys ---


@pytest.mark.parametrize(
    ("text", "unknown", "near"),
    [
        ("tennant = 'x'\n", "tennant", "tenant"),
        ("[sipp]\nlisten = 'x'\n", "sipp", "sip"),
        ("[sip]\nlisden = 'x'\n", "sip.lisden", "sip.listen"),
        (
            "[trunk.carrier]\nside = 'carrier'\nnexthop = 'x'\n",
            "trunk.carrier.nexthop",
            "trunk.carrier.next_hop",
        ),
        ("[recording]\nretention = 7\n", "recording.retention", "recording.retention_days"),
    ],
)
def test_unknown_keys_of_the_file(file: Path, text: str, unknown: str, near: str) -> None:
    assert refused(file, text) == f"{file}: unknown key {unknown}; did you mean {near}?"


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("tennant", "tenant"),
        ("sip.lisden", "sip.listen"),
        ("console.prot", "console.port"),
        ("trunk.carrier.nexthop", "trunk.carrier.next_hop"),
    ],
)
def test_unknown_keys_of_overrides(file: Path, key: str, near: str) -> None:
    assert refused(file, "", f"{key}=x") == f"--set {key}=x: unknown key {key}; did you mean {near}?"
    name = "RINGWARD_" + key.upper().replace(".", "__")
    said = refused(file, "", **{name: "x"})
    assert said == f"environment variable {name}: unknown key {key}; did you mean {near}?"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sip", "expected key=value"),
        ("sip=5", "sip is a section; name a key in it"),
        ("trunk.carrier=5", "trunk.carrier is a section; name a key in it"),
        ("tenant.name=5", "tenant is a value, not a section"),
        ("console.port=http", "expected a number, not 'http'"),
        ("console.port=٨", "expected a number"),
        ("popup.sip_message=maybe", "expected true or false, not 'maybe'"),
        ("sip.listen=5060", "expected host:port"),
        ("=5", "unknown key"),
    ],
)
def test_overrides_that_cannot_be_used(file: Path, override: str, said: str) -> None:
    assert said in refused(file, "", override)


# --- precedence and paths ---


def test_the_command_line_beats_the_environment_beats_the_file(file: Path) -> None:
    text, name = "[console]\nport = 1\n", {"RINGWARD_CONSOLE__PORT": "2"}
    assert load(file, text).console.port == 1
    assert load(file, text, **name).console.port == 2
    assert load(file, text, "console.port=3", **name).console.port == 3
    assert load(file, text, "console.port=3", "console.port=4").console.port == 4


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("popup.sip_message=off", False),
        ("popup.sip_message=YES", True),
        ("popup.deadline_ms=250", 250),
        ("popup.sender= 110 ", "110"),
    ],
)
def test_text_becomes_what_the_key_takes(file: Path, override: str, value: object) -> None:
    config = load(file, "", override)
    assert getattr(config.popup, override.split("=")[0].split(".")[1]) == value


def test_lists_and_nothing_from_text(file: Path) -> None:
    text = "[trunk.carrier]\nside = 'carrier'\nnext_hop = '127.0.0.1:1'\n"
    config = load(file, text, "trunk.carrier.match=127.0.0.1, 127.0.0.2,", "trunk.carrier.next_hop=")
    assert config.trunk["carrier"].match == ("127.0.0.1", "127.0.0.2")
    assert config.trunk["carrier"].next_hop is None
    new = load(file, "", "trunk.new.side=access", "trunk.new.match=127.0.0.9")
    assert new.trunk["new"].match == ("127.0.0.9",)
    language = load(file, "", "subscribers.languages.+8613900000001=en")
    assert language.language_of("+8613900000001") == "en"


def test_paths_are_relative_to_who_names_them(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (
        "[data]\nfolder = '../data'\n[screening]\ntable = 'numbers.csv'\n[speech.models]\nen = 'models/en'\n"
    )
    config = load(file, text, "screening.policy=mine.toml", RINGWARD_SCREENING__SHADOW_POLICY="shadow.toml")
    assert config.data.folder == tmp_path / "data"
    assert config.screening.table == file.parent / "numbers.csv"
    assert config.screening.policy == tmp_path / "mine.toml"
    assert config.screening.shadow_policy == tmp_path / "shadow.toml"
    assert config.speech.models == {"en": file.parent / "models" / "en"}
    assert load(file, text, "screening.table=").screening.table is None
    assert load(file, text, "screening.table=/x.csv").screening.table == Path("/x.csv")


def test_what_follows_from_it(file: Path, tmp_path: Path) -> None:
    config = load(file, f"[data]\nfolder = '{tmp_path}/d'\n")
    assert config.store_url == f"sqlite+aiosqlite:///{tmp_path}/d/ringward.sqlite"
    assert config.hot_table == tmp_path / "d" / "risk.hot"
    assert config.media_address == "127.0.20.1"
    assert load(file, "", "media.address=127.0.0.9").media_address == "127.0.0.9"
    assert load(file, "", "store.url=postgresql+asyncpg:///x").store_url == "postgresql+asyncpg:///x"


# --- what makes no sense ---


@pytest.mark.parametrize("missing", ["purpose", "legal_basis", "retention_days"])
def test_recording_needs_purpose_basis_and_retention(file: Path, missing: str) -> None:
    assert load(file, RECORDING).recording.enabled
    text = "\n".join(line for line in RECORDING.split("\n") if not line.startswith(missing))
    assert "recording stays off until a tenant has named them" in refused(file, text)
    assert "recording.enabled needs" in refused(file, "", "recording.enabled=true")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_the_console_stays_on_loopback(file: Path, host: str) -> None:
    said = refused(file, f"[console]\nhost = '{host}'\n")
    assert said.startswith(f"console.host = {host}: without authentication")
    assert load(file, "[console]\nhost = '::1'\n").console.host == "::1"


def test_an_address_belongs_to_one_trunk(file: Path) -> None:
    text = "".join(f"[trunk.{name}]\nside = 'carrier'\nmatch = ['127.0.0.1']\n" for name in "ab")
    assert refused(file, text) == "trunk.b.match: 127.0.0.1 already belongs to trunk.a"
    twice = "[trunk.a]\nside = 'carrier'\nmatch = ['127.0.0.1', '127.0.0.1']\n"
    assert "already belongs to trunk.a" in refused(file, twice)


def test_dissuasion_needs_a_number_to_call_from(file: Path) -> None:
    assert "dissuasion.caller" in refused(file, "[dissuasion]\nenabled = true\n")


def test_two_pairs_of_ports_are_the_least(file: Path) -> None:
    assert "at least two port pairs" in refused(file, "[media]\nports = '20000-20002'\n")
    assert load(file, "[media]\nports = '20000-20003'\n").media.ports == PortRange(20000, 20003)


# --- whatever comes ---

values = st.one_of(st.integers(), st.booleans(), st.text(max_size=10), st.lists(st.integers(), max_size=2))


@given(
    section=st.sampled_from(list(Config.__struct_fields__)),
    key=st.text(alphabet="abcdefghijklmnopqrstuvwxyz_.=", max_size=20),
    value=st.text(max_size=20).filter(lambda text: "\0" not in text),
)
def test_any_override_is_taken_or_refused(section: str, key: str, value: str) -> None:
    try:
        load_config(None, [f"{section}.{key}={value}", f"{section}={value}"], {})
    except ConfigError as error:
        assert str(error)


@given(
    section=st.sampled_from(list(Config.__struct_fields__)),
    override=st.sampled_from(["sip.listen=127.0.0.1:1", "trunk.a.side=access", "speech.models.en=x"]),
    value=values,
)
def test_any_file_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, section: str, override: str, value: object
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(f"{section} = {json.dumps(value)}\n", encoding="utf-8")
    try:
        load_config(file, [override], {})
    except ConfigError as error:
        assert str(error)


@pytest.mark.parametrize("seconds", [-1, 1, 89])
def test_sessions_that_would_be_refreshed_too_often(file: Path, seconds: int) -> None:
    assert "at least 90" in refused(file, f"sip.session_expires_s = {seconds}\n")


@pytest.mark.parametrize("seconds", [0, 90, 1800])
def test_how_long_sessions_live(file: Path, seconds: int) -> None:
    assert load(file, f"sip.session_expires_s = {seconds}\n").sip.session_expires_s == seconds


def test_an_ipv6_address_is_the_same_however_it_is_written(file: Path) -> None:
    assert load(file, 'sip.listen = "[2001:DB8:0:0::1]:5060"\n').sip.listen == Address("2001:db8::1", 5060)
    assert "listen: " in refused(file, 'sip.listen = "[2001::db8::1]:5060"\n')


@pytest.mark.parametrize("value", ["0", "-1.5"])
def test_limits_that_would_let_nothing_in(file: Path, value: str) -> None:
    assert "limits.messages_per_s" in refused(file, f"limits.messages_per_s = {value}\n")


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ('sip.tls.listen = "127.0.0.1:5061"\n', "sip.tls.certificate"),
        ('trunk.a = { side = "access", next_hop = "h:1", transport = "tls" }\n', "sip.tls.listen"),
        ('sip.tcp = false\ntrunk.a = { side = "access", next_hop = "h:1", transport = "tcp" }\n', "sip.tcp"),
    ],
)
def test_a_transport_that_is_not_spoken(file: Path, text: str, needed: str) -> None:
    assert needed in refused(file, text)


@pytest.mark.parametrize("host", ["0.0.0.0:9464", "192.0.2.1:9464", "[::]:9464", "metrics.example:9464"])
def test_metrics_beyond_loopback_need_a_token(file: Path, host: str) -> None:
    text = f'[metrics]\nlisten = "{host}"\n'
    assert "set metrics.token" in refused(file, text)
    assert load(file, f'{text}token = "secret-word"\n').metrics.token == "secret-word"


@pytest.mark.parametrize("host", ["127.0.0.1:9464", "[::1]:9464", "localhost:9464", "0.0.0.0:0"])
def test_metrics_on_loopback_or_nowhere_need_none(file: Path, host: str) -> None:
    assert str(load(file, f'[metrics]\nlisten = "{host}"\n').metrics.listen) == host
