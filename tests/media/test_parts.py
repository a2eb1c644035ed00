"""Parts of the worker that need no worker: frames on the link, playlists, the sum of speech and prompts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media import link
from engine.media.capture import Channel, overlay
from engine.media.disk import Piece
from engine.media.reports import Reports
from engine.media.sounds import Playback, Sound
from engine.model.ids import SessionId
from engine.model.media import CloseSession, PlaybackFinished
from engine.rtp import g711, rtcp
from engine.rtp.g711 import Law
from engine.rtp.statistics import Reception


@given(st.lists(st.text(max_size=20), max_size=5), st.lists(st.integers(1, 9)))
def test_frames_survive_any_cut(names: list[str], cuts: list[int]) -> None:
    commands = [CloseSession(session=SessionId(name)) for name in names]
    stream = b"".join(link.pack(command) for command in commands)
    reader, read, at = link.FrameReader(), [], 0
    for cut in [*cuts, len(stream)]:
        read += [link.command(frame) for frame in reader.feed(stream[at : at + cut])]
        at += cut
    assert read == commands


def test_what_is_no_frame_breaks_the_link() -> None:
    with pytest.raises(link.BrokenLink):
        list(link.FrameReader().feed(b"\xff\xff\xff\xff"))
    with pytest.raises(link.BrokenLink):
        link.command(b"\xc1")
    event = link.pack(PlaybackFinished(session=SessionId("s"), playback="p"))[4:]  # type: ignore[arg-type]
    with pytest.raises(link.BrokenLink):
        link.command(event)


def sound(value: int, frames: float) -> Sound:
    return Sound(np.full(round(frames * 160), value, np.int16))


def played(playback: Playback, most: int = 100) -> list[int]:
    """First sample of each frame."""
    frames = []
    while len(frames) < most and (frame := playback.take()) is not None:
        frames.append(int(frame[0].samples(frame[1])[0]))
    return frames


def test_prompts_gaps_and_repetition() -> None:
    playback = Playback.of_prompts([sound(1, 2), sound(2, 1)], repeat=2, gap_ms=20)
    assert played(playback) == [1, 1, 0, 2, 0, 1, 1, 0, 2]
    assert playback.finished


def test_a_tone_goes_on() -> None:
    assert played(Playback([sound(1, 1), sound(2, 1)], loop=True), most=5) == [1, 2, 1, 2, 1]


def test_nothing_to_play_is_finished_at_once() -> None:
    playback = Playback.of_prompts([], 3, 100)
    assert playback.finished
    assert playback.take() is None


def test_the_last_frame_is_filled_with_silence() -> None:
    part = sound(1000, 1.5)
    assert part.frames == 2
    assert part.samples(1).tolist() == [1000] * 80 + [0] * 80
    assert part.coded(1, Law.PCMA) == g711.encode(part.samples(1), Law.PCMA)


pieces = st.lists(
    st.tuples(st.integers(0, 500), st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=60)),
    min_size=1,
    max_size=6,
)


@given(pieces)
def test_overlay_is_the_saturated_sum(parts: list[tuple[int, list[int]]]) -> None:
    expected: dict[int, int] = {}
    for at, values in parts:
        for offset, value in enumerate(values):
            expected[at + offset] = expected.get(at + offset, 0) + value
    runs = overlay([(at, np.array(values, np.int16)) for at, values in parts])
    found = {at + offset: int(value) for at, samples in runs for offset, value in enumerate(samples)}
    assert found == {at: max(-32_768, min(32_767, value)) for at, value in expected.items()}
    assert all(a + len(s) < b for (a, s), (b, _) in pairwise(runs))


def stored(channel: Channel, moments: list[float]) -> dict[int, int]:
    """Every sample that goes to the disk, by position; each only once."""
    taken: list[Piece] = []
    for moment in moments:
        taken += channel.take(moment)
    taken += channel.take(moments[-1], last=True)
    found: dict[int, int] = {}
    for _, at, law, payload in taken:
        for offset, value in enumerate(g711.decode(payload, law)):
            assert at + offset not in found
            found[at + offset] = int(value)
    return found


def test_speech_and_prompt_in_one_channel_whatever_the_moments() -> None:
    channel = Channel(0, 0.0, Law.PCMA, with_prompts=True)
    speech, prompt = np.full(160, 1000, np.int16), np.full(160, 2000, np.int16)
    for number in range(50):
        now = 1.0 + 0.02 * number
        channel.hear(7, 160 * number, g711.encode(speech, Law.PCMU), Law.PCMU, now)
        if number >= 25:
            channel.play(160 * number, prompt, now + 0.005)
    found = stored(channel, [1.1, 1.37, 1.7001])
    assert len(found) == 8000 + 40
    assert set(found) == set(range(7840, 15_880))
    assert found[8000] == pytest.approx(1000, abs=40)
    assert found[14_000] == pytest.approx(3000, abs=100)


def test_without_prompts_speech_is_stored_as_it_came() -> None:
    channel = Channel(1, 0.0, Law.PCMA, with_prompts=False)
    channel.play(0, np.full(160, 2000, np.int16), 1.0)
    channel.hear(7, 0, b"\x12" * 160, Law.PCMU, 1.0)
    channel.hear(7, 160, g711.transcode(b"\x12" * 160, Law.PCMU, Law.PCMA), Law.PCMA, 1.02)
    (first, second) = channel.take(1.1)
    assert first == (1, 7840, Law.PCMU, b"\x12" * 160)
    assert (second[1], second[2]) == (8000, Law.PCMU)


def test_reports_tell_what_was_sent_and_heard() -> None:
    reports = Reports("127.0.0.1")
    reception = Reception(9, 100, 0, 1.0)
    reception.add(100, 0, 1.0)
    (first,) = rtcp.parse(reports.build(5, 320, 3, 480, reception, 1000.0))
    assert isinstance(first, rtcp.Report)
    assert (first.packets, first.octets, first.timestamp, first.blocks[0].ssrc) == (3, 480, 320, 9)
    (second,) = rtcp.parse(reports.build(5, 320, 3, 480, None, 1005.0))
    assert isinstance(second, rtcp.Report)
    assert (second.ntp, second.blocks) == (None, ())  # nothing sent meanwhile: a receiver report


def test_reports_echo_the_peers_and_measure_the_trip() -> None:
    reports = Reports("127.0.0.1")
    theirs = rtcp.Report(
        9, (rtcp.ReportBlock(5, 0, 4, 0, 0, rtcp.middle(rtcp.ntp_time(999.0)), 0),), rtcp.ntp_time(50.0)
    )
    reports.read(rtcp.parse(rtcp.build_report(theirs, "x")), 5, 999.25)
    assert reports.remote_lost == 4
    assert reports.round_trip_ms == pytest.approx(250, abs=1)
    reception = Reception(9, 100, 0, 1.0)
    (ours,) = rtcp.parse(reports.build(5, 0, 0, 0, reception, 1000.25))
    assert isinstance(ours, rtcp.Report)
    assert ours.blocks[0].last_report == rtcp.middle(rtcp.ntp_time(50.0))
    assert ours.blocks[0].delay == pytest.approx(65_536, abs=2)
