"""Bench and soak for a few seconds each: that they run, not how fast anything is."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from lab.bench import systems
from lab.bench.capture import capture
from lab.bench.cli import BRIEF, bench
from lab.bench.flood import flooded
from lab.bench.ground import LOAD_CORE, PROGRAM_CORE, on_load_core
from lab.bench.memory import hold
from lab.bench.signalling import SHORT, Bench
from lab.peers import packages
from lab.peers.ringward import CHECKOUT
from lab.soak.run import Extent, soak

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not packages.have("sipp"), reason=packages.reason("sipp")),
    pytest.mark.skipif(
        not {PROGRAM_CORE, LOAD_CORE} <= os.sched_getaffinity(0), reason="the bench needs two processors"
    ),
]

INVITE = b"INVITE sip:13900000001@x SIP/2.0\r\nCall-ID: a\r\n\r\n"


@pytest.mark.skipif(not packages.is_root(), reason="a packet socket needs root")
def test_the_capture_sees_invites_and_final_responses_alone() -> None:
    kept, left = (
        (INVITE, b"SIP/2.0 200 OK\r\n\r\n"),
        (b"SIP/2.0 180 Ringing\r\n\r\n", b"BYE sip:x SIP/2.0", b""),
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, capture() as packets:
        one.bind(("127.200.99.1", 0))
        for data in (*kept, *left):
            one.sendto(data, one.getsockname())
        mine = one.getsockname()
    assert [packet.payload for packet in packets if packet.source == mine] == list(kept)


async def test_a_short_bench_of_ringward(tmp_path: Path) -> None:
    """Refusals and calls at a few rates, calls held up, a flood; its own figures are told."""
    with on_load_core():
        async with systems.ours(tmp_path / "ringward", PROGRAM_CORE) as program:
            runs = Bench(tmp_path, SHORT, lambda line: None)
            (reject,) = await runs.path("reject", [program])
            call = await runs.run(program, "call", 20, 1, watch=packages.is_root())
            held = await hold(program, tmp_path, 20, 20, hold_s=1, after_s=0)
            under = await flooded(program, tmp_path, 1.0)
            figures = program.figures()
    assert reject.cpu_ms_per_call > 0
    assert reject.max_clean_rate == SHORT.ceilings["reject"]
    assert reject.at_ceiling
    assert (reject.slow is not None) == packages.is_root()
    assert call.clean
    assert len(call.delays_ms) == (20 if packages.is_root() else 0)
    assert held.whole
    assert 0 < held.before_mb <= held.held_mb
    assert under.flood_per_s > 1_000
    assert 0 < under.options.good <= under.options.attempts
    assert 0 < under.calls.good <= under.calls.attempts
    assert "ringward_gc_pause_max_seconds" in figures


async def test_peers_that_are_here_refuse_and_put_through(tmp_path: Path) -> None:
    """Those that cannot be installed are named, with a reason each."""
    starts, lacking = systems.installed(tmp_path, CHECKOUT / "var" / "lab", PROGRAM_CORE)
    assert len(starts) + len(lacking) == 3
    assert all(line.startswith("without ") for line in lacking)
    with on_load_core():
        runs = Bench(tmp_path, SHORT, lambda line: None)
        for start in starts:
            async with start() as program:
                assert (await runs.run(program, "reject", 20, 1)).clean, program.name
                assert (await runs.run(program, "call", 20, 1)).clean, program.name


def test_the_command_writes_what_it_measured(tmp_path: Path) -> None:
    bench(tmp_path, ("flood",), BRIEF, peers=False)
    written = json.loads((tmp_path / "flood.json").read_text(encoding="utf-8"))
    (row,) = written["flood"]
    assert row["system"] == "ringward"
    assert row["flood_per_s"] > 0
    assert written["machine"]["python"].startswith("3.")


async def test_a_short_soak(tmp_path: Path) -> None:
    told: list[str] = []
    found = await soak(tmp_path / "soak", Extent(calls=60, every=30, per_second=30, quiet_s=0), told.append)
    assert found == [], told
    assert told[-1].startswith("60 calls: ")
