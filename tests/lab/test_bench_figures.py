"""What the bench makes of its runs' numbers, and how it prints them."""

from __future__ import annotations

import asyncio
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from engine.sip.message import Request
from engine.sip.parse import parse
from lab.bench import show
from lab.bench.figures import Delays, Figure, Flooded, Held, Served, delays, highest_clean, ratio
from lab.bench.flooder import options
from lab.bench.ground import optimised_build
from lab.bench.signalling import SHORT, Plan
from lab.bench.systems import read_figures
from lab.peers import scenarios
from lab.peers.environment import only

# --- figures ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "wanted"), [(1.0, 4.0, 0.25), (0.0, 4.0, 0.0), (1.0, 0.0, None), (None, 4.0, None)]
)
def test_ratio(ours: float | None, theirs: float, wanted: float | None) -> None:
    assert ratio(ours, theirs) == wanted


def test_delays_are_the_median_of_the_runs_percentiles() -> None:
    """One run that something else disturbed does not count."""
    quiet = [float(n) for n in range(1, 101)]
    disturbed = [value * 100 for value in quiet]
    found = delays(50, [quiet, disturbed, quiet, [7.0]])
    assert found == Delays(50, pytest.approx(50.5), pytest.approx(95.95), pytest.approx(99.99))
    assert delays(50, [[], [1.0]]) is None


def search(first: float, ceiling: float, bisections: int, limit: float) -> tuple[float, bool, list[float]]:
    """A program that is clean up to `limit`: what is found, and the rates that were tried."""
    tried: list[float] = []

    async def clean(rate: float) -> bool:
        tried.append(rate)
        return rate <= limit

    return *asyncio.run(highest_clean(first, ceiling, bisections, clean)), tried


def test_highest_clean_rate_doubles_then_halves() -> None:
    assert search(500, 32_000, 3, 1_800) == (1_750, False, [500, 1_000, 2_000, 1_500, 1_750, 1_875])


def test_highest_clean_rate_at_its_ceiling() -> None:
    assert search(150, 700, 3, 1e9) == (700, True, [150, 300, 600, 700])


def test_no_rate_is_clean() -> None:
    good, at_ceiling, tried = search(100, 1_000, 2, 0)
    assert (good, at_ceiling, tried) == (0, False, [100, 50, 25])


@given(
    first=st.integers(1, 1_000),
    times=st.integers(1, 100),
    bisections=st.integers(0, 8),
    limit=st.integers(0, 200_000),
)
def test_highest_clean_rate_is_clean_and_near(first: int, times: int, bisections: int, limit: int) -> None:
    ceiling = first * times
    good, at_ceiling, tried = search(first, ceiling, bisections, limit)
    assert good <= limit
    assert max(tried) <= ceiling
    assert at_ceiling == (limit >= ceiling)
    if at_ceiling:
        assert good == ceiling
    else:
        gap = max(first, good)  # of the doubling; each bisection halves it, to whole calls
        assert min(limit, ceiling) - good <= gap / 2**bisections + 2


def test_the_search_reaches_ten_times_asterisk() -> None:
    assert Plan().headroom >= 10
    assert set(Plan().rates) == set(Plan().ceilings) == set(SHORT.rates) == set(SHORT.ceilings)


# --- tables -----------------------------------------------------------------


def text(table: Table) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(table: Table, name: str) -> str:
    return next(line for line in text(table).split("\n") if name in line)


def test_signalling_table_has_ours_as_a_multiple_of_each_peer() -> None:
    slow = Delays(50, 1, 2, 3)
    ours = Figure("ringward", "reject", 500, 0.2, 8_000, False, slow, None)
    peer = Figure("asterisk", "reject", 500, 0.8, 1_000, False, slow, slow)
    other = Figure("sippy", "call", 150, 4.0, 200, True, None, None)
    table = show.signalling([ours, peer, other])
    assert "0.8 (0.25×)" in row(table, "asterisk")
    assert "1000 (8.00×)" in row(table, "asterisk")
    assert "1.00 / 2.00 / 3.00 at 50/s" in row(table, "asterisk")
    assert "×" not in row(table, "ringward │")
    assert "×" not in row(table, "sippy")  # ours was not measured on that path
    assert "200 or more" in row(table, "sippy")


def test_a_peer_without_any_cost_has_no_ratio() -> None:
    ours = Figure("ringward", "reject", 500, 0.2, 8_000, False, None, None)
    peer = Figure("kamailio", "reject", 500, 0.0, 0.0, False, None, None)
    assert "×" not in row(show.signalling([ours, peer]), "kamailio")


def test_memory_table() -> None:
    table = show.memory([Held("ringward", 10_000, 80, 280, 90, True), Held("sippy", 500, 20, 28, 28, False)])
    assert "20.0" in row(table, "ringward")
    assert "≤ 300" in row(table, "ringward")
    assert "16.0" in row(table, "sippy")
    assert "no" in row(table, "sippy")


def test_flood_table() -> None:
    table = show.flood([Flooded("ringward", 123_456, Served(99, 100), Served(0, 0), 80, 81.5)])
    assert "123,456" in text(table)
    assert "99 of 100 (99%)" in text(table)
    assert "0 of 0 (0%)" in text(table)
    assert "80 → 81.5" in text(table)


def test_pauses_table() -> None:
    table = show.pauses({"call": {"gc_pause_ms": 1.25, "loop_lag_ms": 7.5}})
    assert "1.25" in row(table, "call")
    assert "≤ 5" in row(table, "call")


# --- instruments ------------------------------------------------------------


def test_figures_of_prometheus_text() -> None:
    told = (
        "# HELP a_b Something.\n# TYPE a_b gauge\na_b 0.25\n"
        '# HELP held What.\n# TYPE held gauge\nheld{kind="calls"} 2.0\nheld{kind="trunk calls"} 3.0\n'
    )
    assert read_figures(told) == {"a_b": 0.25, "held/calls": 2.0, "held/trunk calls": 3.0}


def test_the_flood_is_of_requests_each_of_its_own() -> None:
    one, two = (parse(options("127.0.0.9", "127.0.0.1", number)) for number in (1, 2))
    assert isinstance(one, Request)
    assert isinstance(two, Request)
    assert one.method == "OPTIONS"
    assert one.call_id != two.call_id
    assert one.top_via.branch != two.top_via.branch


def test_requests_may_all_go_to_the_first_ones_target() -> None:
    steps = "".join(scenarios.CALL.to_target().steps)
    assert "[next_url]" in "".join(scenarios.CALL.steps)
    assert "[next_url]" not in steps
    assert "BYE sip:[service]@[remote_ip]:[remote_port] SIP/2.0" in steps


def test_a_part_of_a_lock_file() -> None:
    one, two, three = (f"{name}==1 \\\n    --hash=a\n    # via x\n" for name in ("one", "two", "three"))
    assert only(f"# Made by\n{one}{two}{three}", ("one", "three")) == one + three


def test_the_build_is_told_in_words() -> None:
    assert optimised_build() in ("yes", "no", "as the distribution builds it")
