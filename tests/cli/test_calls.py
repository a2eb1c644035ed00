"""`ringward calls` where there is nothing, or not enough."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from engine.cli import ladder_text
from engine.cli.commands import command_line
from engine.journal import Journal
from engine.model.events import AnyEvent
from engine.model.ids import TenantId
from engine.traces.entries import CallTrace, Message
from engine.traces.ladder import ladder
from tests.traces.kit import ended, request, screened, started

LAB = TenantId("lab")
TICKS = count(1_800_000_000.0)


def ringward(folder: Path, *arguments: str) -> Result:
    options = [*arguments, "--set", f"data.folder={folder}"]
    return CliRunner().invoke(command_line("calls"), ["calls", *options])


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal", "n-w1", next(TICKS))
    yield journal
    journal.close()


def tell(journal: Journal, event: AnyEvent) -> None:
    """It is in the file from then on, a second later than the one before."""
    journal.extend(LAB, [(event, next(TICKS))])
    assert journal.flush(20)


def test_an_empty_folder_has_no_calls(tmp_path: Path) -> None:
    done = ringward(tmp_path, "list")
    assert done.exit_code == 1
    assert "no calls in" in done.stderr
    done = ringward(tmp_path, "trace", "c1")
    assert done.exit_code == 1
    assert "no call c1 in" in done.stderr


def test_a_call_without_a_trace_is_told_from_none(tmp_path: Path, journal: Journal) -> None:
    tell(journal, started("c1", "in-1"))
    done = ringward(tmp_path, "trace", "c1")
    assert done.exit_code == 1
    assert "the messages of call c1 were not kept" in " ".join(done.stderr.split())


def test_the_newest_calls_come_first_and_a_limit_holds(tmp_path: Path, journal: Journal) -> None:
    for number in range(5):
        name = f"c{number}"
        for event in (started(name, name), screened(name), *([ended(name)] if number < 4 else [])):
            tell(journal, event)
    lines = ringward(tmp_path, "list", "--limit", "3").stdout.split("\n")[:-1]
    assert [line.split()[0] for line in lines] == ["c4", "c3", "c2"]
    assert lines[0].endswith("+86*********00 -> +86*********00  allow  up")
    assert lines[1].endswith("  allow  caller/hung_up")


def test_a_damaged_journal_hides_no_other(tmp_path: Path, journal: Journal) -> None:
    tell(journal, started("c1", "in-1"))
    (tmp_path / "journal" / "journal-broken.sqlite").write_bytes(b"no database at all" * 100)
    done = ringward(tmp_path, "list")
    assert done.stdout.startswith("c1  ")
    assert done.stderr


@pytest.mark.parametrize("limit", ["10", "0m", "25h", "-1m", "m", "1 h"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, limit: str) -> None:
    done = ringward(tmp_path, "trace-on", "--by", "li.na", "--for", limit)
    assert done.exit_code == 1
    assert not (tmp_path / "trace.json").exists()


def test_a_long_label_and_two_hops_stay_in_their_lane() -> None:
    def message(at: float, known: str, text: str, remote: str) -> Message:
        return Message(
            at=at,
            way="out",
            transport="udp",
            local="127.0.20.1:5060",
            remote=remote,
            sip_call_id=known,
            text=text,
        )

    trace = CallTrace(
        call_id="c1",
        direction="inbound",
        items=(
            message(1.0, "a", request("INVITE", "a").decode(), "127.0.30.1:5060"),
            message(4.0, "b", request("INVITE", "b").decode(), "127.0.30.2:5060"),
            message(5.0, "b", f"SIP/2.0 200 {'x' * 80}\n", "127.0.30.2:5060"),
        ),
        roles={"a": "callee", "b": "callee"},
        dropped=2,
    )
    lines = list(ladder_text.lines(ladder(trace, {})))
    assert lines[1] == "2 earlier messages were dropped: there was no room for them"
    assert lines[4].rstrip().endswith("127.0.30.1:5060")
    assert lines[5].strip() == "127.0.30.2:5060"
    assert lines[6:] == [
        "      0.0 ms |                              |-- INVITE 127.0.30.1 -------->|",
        "   3000.0 ms |                              |-- INVITE 127.0.30.2 -------->|",
        "   4000.0 ms |                              |-- 200 xxxxxxxxxxxxxxxxxxx~ ->|",
    ]
    assert {len(line) for line in lines[6:]} == {76}
