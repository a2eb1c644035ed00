"""The file that keeps bindings over a restart."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.edge.bindings import Binding
from engine.runtime.binding_file import SPARE_LINES, BindingFile
from engine.sip.flow import Flow

NOW, WALL = 1000.0, 1_700_000_000.0


def binding(user: str = "bob", transport: str = "udp", **changes: object) -> Binding:
    made = Binding(
        user=user,
        contact=f"sip:{user}@192.0.2.20",
        flow=Flow(transport, ("192.0.2.1", 5060), ("192.0.2.20", 5060)),
        call_id="c",
        cseq=3,
        expires=NOW + 600,
        q="0.5",
        instance="<urn:uuid:1>",
        reg_id=2,
        path=("<sip:p.example;lr>",),
    )
    return msgspec.structs.replace(made, **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "edge" / "bindings.jsonl"


def again(path: Path, now: float = NOW) -> list[Binding]:
    """What the next start finds."""
    file = BindingFile(path, lambda: WALL + now - NOW)
    found = file.load(now)
    file.close()
    return sorted(found, key=str)


def test_all_of_a_binding_comes_back(path: Path) -> None:
    file = BindingFile(path, lambda: WALL)
    file.save(binding(), NOW)
    # not closed: the process was killed
    assert again(path) == [binding()]
    assert path.stat().st_mode & 0o077 == 0


def test_what_was_taken_back_or_is_over_does_not(path: Path) -> None:
    file = BindingFile(path, lambda: WALL)
    for user in ("alice", "bob", "carol"):
        file.save(binding(user), NOW)
    file.save(binding("dora", expires=NOW + 10), NOW)
    file.remove(binding("bob"), NOW)
    file.remove(binding("nobody"), NOW)
    assert [each.user for each in again(path, NOW + 20)] == ["alice", "carol"]


def test_the_last_word_counts(path: Path) -> None:
    file = BindingFile(path, lambda: WALL)
    file.save(binding(), NOW)
    file.save(binding(contact="sip:new@192.0.2.21", cseq=4), NOW)
    file.remove(binding(flow=Flow("udp", ("192.0.2.1", 5060), ("192.0.2.99", 5060))), NOW)
    assert [each.contact for each in again(path)] == ["sip:new@192.0.2.21"]


def test_connections_are_not_kept(path: Path) -> None:
    file = BindingFile(path, lambda: WALL)
    file.save(binding(transport="wss"), NOW)
    file.remove(binding(transport="wss"), NOW)
    assert path.read_bytes() == b""


def test_a_phone_that_went_over_to_a_connection_is_not_kept_at_its_old_place(path: Path) -> None:
    file = BindingFile(path, lambda: WALL)
    file.save(binding(), NOW)
    file.save(binding(transport="tls"), NOW)
    assert again(path) == []


def test_damaged_lines_are_left_out(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = BindingFile(path, lambda: WALL)
    file.save(binding("alice"), NOW)
    file.save(binding("bob"), NOW)
    whole = path.read_bytes()
    path.write_bytes(b"\0\0\n" + whole[:-20])
    assert [each.user for each in again(path)] == ["alice"]
    assert "2 lines" in caplog.text


def test_the_file_does_not_grow_for_ever(path: Path) -> None:
    file = BindingFile(path, lambda: WALL)
    for cseq in range(3 * SPARE_LINES):
        file.save(binding(cseq=cseq), NOW)
    assert path.read_bytes().count(b"\n") <= SPARE_LINES + 5
    assert [each.cseq for each in again(path)] == [3 * SPARE_LINES - 1]


def test_a_full_disk_stops_no_registration(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = BindingFile(path, lambda: WALL)
    file.close()
    file.save(binding(), NOW)
    assert "cannot be written" in caplog.text
