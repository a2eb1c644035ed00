"""One continuous stream towards a leg, whatever its sources do."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.rtp.rewriter import StreamRewriter


def stream() -> StreamRewriter:
    return StreamRewriter(ssrc=0xCAFE, sequence=65_534, timestamp=0xFFFF_FF00)


def test_a_steady_source_keeps_its_steps_across_the_wrap() -> None:
    out = stream()
    sent = [out.relay(1, 100 + n, 5000 + 160 * n, n * 0.02) for n in range(4)]
    assert [sequence for sequence, _, _ in sent] == [65_534, 65_535, 0, 1]
    assert [timestamp for _, timestamp, _ in sent] == [0xFFFF_FF00, 0xFFFF_FFA0, 0x40, 0xE0]
    assert [marker for _, _, marker in sent] == [True, False, False, False]


def test_loss_and_reordering_stay_visible() -> None:
    out = stream()
    order = (10, 11, 14, 13, 15)
    sent = [out.relay(1, number, 160 * number, 0.0)[0] for number in order]
    assert [(number - sent[0]) & 0xFFFF for number in sent] == [0, 1, 4, 3, 5]


def test_another_source_goes_on_by_one_and_by_the_time_passed() -> None:
    out = stream()
    first = out.relay(1, 500, 80_000, 1.0)
    second = out.relay(2, 9, 7, 1.5)
    assert second == ((first[0] + 1) & 0xFFFF, (first[1] + 4000) & 0xFFFF_FFFF, True)
    assert out.relay(2, 10, 167, 1.52) == ((first[0] + 2) & 0xFFFF, (first[1] + 4160) & 0xFFFF_FFFF, False)


def test_prompt_then_relay_then_prompt() -> None:
    out = stream()
    prompt = [out.generate(0.02 * n) for n in range(3)]
    relayed = [out.relay(7, 100 + n, 160 * n, 0.06 + 0.02 * n) for n in range(3)]
    again = [out.generate(0.12 + 0.02 * n) for n in range(2)]
    everything = prompt + relayed + again
    assert [(sequence - 65_534) & 0xFFFF for sequence, _, _ in everything] == list(range(8))
    assert [(timestamp - 0xFFFF_FF00) & 0xFFFF_FFFF for _, timestamp, _ in everything] == [
        160 * n for n in range(8)
    ]
    assert [marker for _, _, marker in everything] == [True, False, False, True, False, False, True, False]


def test_leaving_makes_the_same_ssrc_another_source() -> None:
    out = stream()
    first = out.relay(1, 500, 80_000, 1.0)
    out.leave()
    assert out.relay(1, 9, 7, 1.02) == ((first[0] + 1) & 0xFFFF, (first[1] + 160) & 0xFFFF_FFFF, True)


def test_a_restarted_sender_is_another_source() -> None:
    out = stream()
    first = out.relay(1, 500, 80_000, 1.0)
    assert out.relay(1, 40_000, 3, 1.02) == ((first[0] + 1) & 0xFFFF, (first[1] + 160) & 0xFFFF_FFFF, True)


def test_a_packet_kept_back_leaves_no_gap() -> None:
    out = stream()
    first = out.relay(1, 500, 0, 0.0)[0]
    out.skip(1, 501)
    assert out.relay(1, 502, 320, 0.04)[0] == (first + 1) & 0xFFFF
    out.skip(1, 510)  # not in order: its gap is a loss anyway
    assert out.relay(1, 503, 480, 0.06)[0] == (first + 2) & 0xFFFF


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40)), min_size=1, max_size=60),
    st.integers(0, 0xFFFF),
)
def test_sequences_have_no_gap_whatever_the_order_of_sources(
    turns: list[tuple[int, int]], start: int
) -> None:
    out = StreamRewriter(1, start, 0)
    inputs = {source: [source * 9000, source * 77_777] for source in (1, 2)}
    now, sent = 0.0, []
    for source, count in turns:
        for _ in range(count):
            now += 0.02
            if source == 0:
                sent.append(out.generate(now))
                continue
            sequence, timestamp = inputs[source]
            sent.append(out.relay(source, sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, now))
            inputs[source] = [sequence + 1, timestamp + 160]
    assert [sequence for sequence, _, _ in sent] == [(start + n) & 0xFFFF for n in range(len(sent))]
    steps = [(b[1] - a[1]) & 0xFFFF_FFFF for a, b in pairwise(sent)]
    assert set(steps) <= {160}
