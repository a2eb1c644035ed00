"""What the configuration makes of the edge: users, addresses, emergency numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.app.config import ConfigError, load_config
from engine.app.edge import is_emergency, listening, settings
from engine.app.edge_users import load_users
from engine.app.numbering import address_of, numbering_of
from engine.app.paths import dialplans_folder
from engine.cli.serve import children
from engine.model.address import Address
from engine.model.config import Config, DataSection, SipSection
from engine.model.edge_section import EdgeSection
from engine.sip.digest_server import Secret
from engine.sip.uri import Uri

NUMBERING = numbering_of(Config())


def users_file(tmp_path: Path, text: str) -> EdgeSection:
    path = tmp_path / "users.csv"
    path.write_text(text, encoding="utf-8")
    return EdgeSection(realm="lab", users={"alice": "one"}, users_file=path)


def test_users_with_passwords_and_hashes(tmp_path: Path) -> None:
    bob = Secret.of_password("bob", "lab", "two")
    users = load_users(
        users_file(
            tmp_path,
            "user,password,ha1_md5,ha1_sha256,numbers\n"
            f"bob,,{bob.md5.upper()},{bob.sha256},+8613900000002 010-87654321\n"
            'carol,"three, with a comma",,,\n'
            f"dora,,,{bob.sha256},\n",
        )
    )
    assert users.numbers == {"bob": ("+8613900000002", "010-87654321"), "carol": (), "dora": ()}
    assert users.secrets == {
        "alice": Secret.of_password("alice", "lab", "one"),
        "bob": bob,
        "carol": Secret.of_password("carol", "lab", "three, with a comma"),
        "dora": Secret("", bob.sha256),
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,password\nbob,topsecret\n", "first line"),
        ("password\ntopsecret\n", "first line"),
        ("user,password\n,topsecret\n", "line 2"),
        ("user,password\nbob,topsecret,more\n", "line 2"),
        ("user,password\nbob,\n", "neither password nor hash"),
        ("user,ha1_md5\nbob,topsecret\n", "no hash"),
        ("user,password,ha1_md5\nbob,topsecret,0123456789abcdef0123456789abcdef\n", "one of them"),
        ("user,password\nalice,topsecret\n", "twice"),
        ("", "first line"),
    ],
)
def test_what_is_wrong_with_a_users_file_is_told_without_its_secrets(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        load_users(users_file(tmp_path, text))
    assert "topsecret" not in str(error.value)


def test_a_users_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        load_users(EdgeSection(users_file=tmp_path / "nowhere.csv"))


@pytest.mark.parametrize(
    "uri", ["sip:110@x", "sip:+86110@x", "sip:010110@x", "sip:911@x", "tel:12110", "urn:service:sos.fire"]
)
def test_calls_for_help_however_they_are_spelt(uri: str) -> None:
    assert is_emergency(NUMBERING, Uri.parse(uri))


@pytest.mark.parametrize(
    "uri", ["sip:13900000002@x", "sip:x", "sip:110110110@x", "urn:isbn:1", "mailto:110@x"]
)
def test_other_calls(uri: str) -> None:
    assert not is_emergency(NUMBERING, Uri.parse(uri))


def test_one_address_for_all_spellings_of_a_number() -> None:
    spellings = ("13900000002", "+8613900000002", "008613900000002", "013900000002")
    assert {address_of(NUMBERING, user) for user in spellings} == {"+8613900000002"}
    assert [address_of(NUMBERING, user) for user in ("bob", "801", "")] == ["bob", "801", ""]


def test_the_lab_edge_is_the_labs_access_trunk(tmp_path: Path) -> None:
    lab = dialplans_folder().parent / "lab" / "edge.toml"
    config = load_config(lab, [f"data.folder={tmp_path}"], {})
    where = listening(config)
    assert list(where.addresses) == ["udp", "tcp", "ws"]
    access = config.trunk["access"]
    assert access.next_hop == config.edge.listen and access.match == (where.addresses["udp"].host,)
    made = settings(config, {"udp": ("127.0.30.1", 5060)})
    assert made.engine == ("127.0.20.1", 5060)
    assert "lab-phone" not in repr(made) and made.key.hex() not in repr(made)
    assert [child.name for child in children(config, lab, [])][-2:] == ["engine", "edge"]


def test_up_runs_no_edge_where_none_is_asked_for() -> None:
    assert "edge" not in [child.name for child in children(Config(), None, [])]


@pytest.mark.parametrize(
    ("edge", "told"),
    [
        ("", "edge.listen"),
        ('listen = "127.0.0.1:5060"\ntls = "127.0.0.1:5061"', "edge.tls needs edge.certificate"),
        ('listen = "127.0.0.1:5060"\ncertificate = "no.pem"\nkey = "no.key"', "edge.certificate: .*no.pem"),
        ('listen = "127.0.0.1:5060"\nalgorithms = ["SHA-1"]', "SHA-1"),
    ],
)
def test_what_an_edge_cannot_do_without(tmp_path: Path, edge: str, told: str) -> None:
    path = tmp_path / "ringward.toml"
    path.write_text(f"[edge]\n{edge}\n")
    with pytest.raises(ConfigError, match=told):
        listening(load_config(path, (), {}))


def test_a_wildcard_needs_an_address_for_others() -> None:
    config = Config(edge=EdgeSection())
    with pytest.raises(ConfigError, match=r"edge\.host"):
        settings(config, {"udp": ("0.0.0.0", 5060)})


def test_its_metrics_have_a_port_of_their_own(tmp_path: Path) -> None:
    lab = dialplans_folder().parent / "lab" / "edge.toml"
    config = load_config(lab, [f"data.folder={tmp_path}", "metrics.listen=127.0.0.1:9100"], {})
    edge = children(config, lab, [])[-1]
    assert edge.arguments[-1] == "metrics.listen=127.0.0.1:9102"


def test_a_number_is_one_user_s_alone(tmp_path: Path) -> None:
    section = users_file(tmp_path, "user,password,numbers\nbob,two,013900000002\ncarol,three,\n")
    accounts = load_users(section).accounts(NUMBERING)
    assert [accounts.owner(user) for user in ("bob", "+8613900000002", "alice", "dora")] == [
        "bob",
        "bob",
        "alice",
        None,
    ]
    other = EdgeSection(users={"alice": "one", "+8613900000002": "two"}, numbers={"alice": ("13900000002",)})
    with pytest.raises(ConfigError, match="13900000002 is alice's and another user's"):
        load_users(other).accounts(NUMBERING)


def test_numbers_of_nobody_are_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"edge\.numbers\.bob"):
        load_users(EdgeSection(users={"alice": "one"}, numbers={"bob": ("801",)}))


def test_where_the_engine_s_workers_are(tmp_path: Path) -> None:
    edge = EdgeSection(engine_hosts=("192.0.2.1", "192.0.2.2:5062", "[2001:db8::1]:5063", "2001:db8::2"))
    data = DataSection(folder=tmp_path)
    for sip in (SipSection(), SipSection(listen=Address("127.0.20.1", 5080))):
        made = settings(Config(sip=sip, edge=edge, data=data), {"udp": ("127.0.30.1", 5060)})
        assert made.engine == ("127.0.20.1", sip.listen.port)
        assert made.engines == {  # those without a port listen where ours does
            ("192.0.2.1", sip.listen.port),
            ("192.0.2.2", 5062),
            ("2001:db8::1", 5063),
            ("2001:db8::2", sip.listen.port),
        }


@pytest.mark.parametrize("text", ["engine.example", "192.0.2.1:0", "192.0.2.0/24", ""])
def test_what_is_no_worker_s_address(tmp_path: Path, text: str) -> None:
    config = Config(edge=EdgeSection(engine_hosts=(text,)), data=DataSection(folder=tmp_path))
    with pytest.raises(ConfigError, match=r"edge\.engine_hosts"):
        settings(config, {"udp": ("127.0.30.1", 5060)})
