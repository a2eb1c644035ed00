"""RFC 3550 §6: compound packets there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rtp.rtcp import (
    Goodbye,
    Report,
    ReportBlock,
    build_bye,
    build_report,
    middle,
    ntp_time,
    parse,
    round_trip_s,
)

u32 = st.integers(0, 0xFFFF_FFFF)
blocks = st.builds(
    ReportBlock, u32, st.integers(0, 255), st.integers(-(1 << 23), (1 << 23) - 1), u32, u32, u32, u32
)
reports = st.builds(Report, u32, st.lists(blocks, max_size=3).map(tuple)) | st.builds(
    Report, u32, st.lists(blocks, max_size=3).map(tuple), st.integers(0, (1 << 64) - 1), u32, u32, u32
)


@given(reports, st.text(st.characters(codec="ascii"), max_size=20))
def test_round_trip(report: Report, cname: str) -> None:
    data = build_report(report, cname)
    assert len(data) % 4 == 0
    assert parse(data) == [report]


def test_known_bytes() -> None:
    assert (
        build_report(Report(0x01020304), "ab").hex()
        == "80c9000101020304" + "81ca0003" + "01020304" + "01026162" + "00000000"
    )


def test_goodbye() -> None:
    assert parse(build_bye(7, "x")) == [Report(7), Goodbye((7,))]


@given(reports, st.data())
def test_a_broken_compound_is_not_believed(report: Report, data: st.DataObject) -> None:
    whole = build_report(report, "someone")
    assert parse(whole[: data.draw(st.integers(0, len(whole) - 1))]) in ([], [report])
    assert parse(b"\x00" + whole[1:]) == []


@given(st.binary(max_size=120))
def test_any_bytes(data: bytes) -> None:
    parse(data)


def test_round_trip_time() -> None:
    sent, heard = ntp_time(1_700_000_000.0), ntp_time(1_700_000_000.75)
    block = ReportBlock(1, 0, 0, 0, 0, middle(sent), 65_536 // 2)
    assert round_trip_s(block, heard) == pytest.approx(0.25, abs=1e-3)
    assert round_trip_s(ReportBlock(1, 0, 0, 0, 0, 0, 0), heard) is None
