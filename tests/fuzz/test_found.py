"""What fuzzing found, each by name, so that it stays mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.app.config import ConfigError, load_config
from engine.dissuasion.script import ScriptError
from engine.dissuasion.script import load as load_script
from engine.screening import PolicyError, load_policy
from engine.sip.effects import Discarded
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import Flow
from engine.sip.layer import TransactionLayer
from engine.sip.replaces import Replaces
from engine.warning.announcements import CatalogueError
from engine.warning.announcements import load as load_catalogue
from tests.call.kit import ACCESS as CALLEE
from tests.call.kit import ENGINE, NUMBER, Lab
from tests.call.test_transfer import TARGET, done, refer, transferring
from tests.sip.ids import SeededIds
from tests.sip.kit import wire


@pytest.mark.parametrize(
    "text",
    [
        "\r\ncall;to-tag=b;from-tag=a",
        "a b;to-tag=b;from-tag=a",
        "a\0;to-tag=b;from-tag=a",
        'a;to-tag="b\r\nX: y";from-tag=a',
        'a;to-tag=b;from-tag="a;b"',
    ],
)
def test_replaces_holds_nothing_that_could_leave_its_header(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Replaces.parse(text)


@pytest.mark.parametrize("callid", ["x%0d%0aVia:%20y", "x%00y", "x%20y", "%0d%0a"])
def test_a_transfer_whose_replaces_holds_control_characters(callid: str) -> None:
    """It would have been raised as our own fault when the INVITE to the target was written."""
    lab = transferring()
    _, called = lab.connect()
    asked = refer(called, f"<sip:{TARGET}@example.org?Replaces={callid}%3Bto-tag%3Db%3Bfrom-tag%3Da>")
    assert asked.status == 400
    assert lab.stages[-1] == "connected"
    done(lab)


@pytest.mark.parametrize("row", ["Call-ID: another", "From: <sip:a@b>;tag=another"])
@pytest.mark.parametrize("status", [180, 200])
def test_a_dialog_is_forgotten_whatever_the_response_calls_it(row: str, status: int) -> None:
    """The leg was kept under the response's Call-ID, and looked for under the request's when it ended."""
    lab = Lab()
    lab.carrier.invite(NUMBER)
    invite = lab.phone.calls[0].invite.request
    name = row.partition(":")[0]
    rows = [f"{kept}: {invite.rows(kept)[0]}" for kept in ("Via", "From", "Call-ID", "CSeq") if kept != name]
    rows += [row, f"To: {invite.rows('To')[0]};tag=s", "Contact: <sip:s@127.0.30.1>", "Content-Length: 0"]
    data = "\r\n".join([f"SIP/2.0 {status} Whatever", *rows, "", ""]).encode()
    lab.carry_out(lab.core.receive(data, Flow("udp", ENGINE, CALLEE), lab.now))
    lab.drain()
    lab.advance(600.0)
    assert not lab.core.calls
    assert lab.core.counts()["dialogs"] == 0


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000, "{a=" * 5000], ids=["number", "array", "table"])
def test_files_that_the_toml_reader_has_no_error_of_its_own_for(value: str, tmp_path: Path) -> None:
    """A policy is read again while calls go on: whatever it is, it may only be refused."""
    text, path = f"a = {value}\n", tmp_path / "any.toml"
    path.write_text(text)
    with pytest.raises(PolicyError, match="not valid TOML"):
        load_policy(text)
    with pytest.raises(ScriptError):
        load_script(path, ())
    with pytest.raises(CatalogueError):
        load_catalogue(path)
    with pytest.raises(ConfigError):
        load_config(path)


@pytest.mark.parametrize("via", ["SIP/2.0/UDP -h;branch=z9hG4bK1", "SIP/2.0/UDP .h:5;rport;branch=z9hG4bK1"])
@pytest.mark.parametrize("broken", [False, True])
def test_a_via_whose_host_cannot_be_written(via: str, broken: bool) -> None:
    """A shorter way of reading took it; it was raised as our own fault when it was stamped or answered."""
    data = wire("OPTIONS", via=via)
    layer = TransactionLayer(SeededIds(), ("192.0.2.1", 5060))
    flow = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060))
    effects = layer.receive(data.replace(b"To: <", b"To: <<") if broken else data, flow, 0.0)
    assert [type(effect) for effect in effects] == [Discarded]
