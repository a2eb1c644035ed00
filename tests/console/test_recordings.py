"""The sound of a recording: by range, to download, as peaks, and whether it is as recorded."""

import io

import httpx
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from engine.console.pages.recording import byte_range
from engine.model.events import RecordingStarted
from engine.model.ids import CallId, RecordingId
from tests.console.seed import ALICE, SPOKEN, WARNED, World


@pytest.mark.asyncio(loop_scope="session")
async def test_the_sound_comes_whole_or_by_range(full: httpx.AsyncClient) -> None:
    whole = await full.get("/recordings/r-warn/audio.wav")
    assert whole.status_code == 200 and whole.headers["accept-ranges"] == "bytes"
    samples, rate = soundfile.read(io.BytesIO(whole.content), dtype="int16")
    assert (samples.shape[1], rate) == (2, 8000)
    assert len(samples) == pytest.approx(SPOKEN[-1][3] * 8, abs=400)
    assert np.abs(samples[8 * 1600 : 8 * 3800, 0]).max() > 2000 > np.abs(samples[: 8 * 1400, 0]).max()
    assert np.abs(samples[8 * 400 : 8 * 1000, 1]).max() > 2000
    part = await full.get("/recordings/r-warn/audio.wav", headers={"range": "bytes=1001-2000"})
    assert part.status_code == 206 and part.content == whole.content[1001:2001]
    assert part.headers["content-range"] == f"bytes 1001-2000/{len(whole.content)}"
    tail = await full.get("/recordings/r-warn/audio.wav", headers={"range": "bytes=-7"})
    assert tail.content == whole.content[-7:]
    beyond = await full.get("/recordings/r-warn/audio.wav", headers={"range": "bytes=99999999-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"


@pytest.mark.asyncio(loop_scope="session")
async def test_downloads_are_attachments_of_the_same_sound(full: httpx.AsyncClient) -> None:
    wav = await full.get("/recordings/r-warn/audio.wav?download=true")
    flac = await full.get("/recordings/r-warn/audio.flac")
    assert 'filename="r-warn.wav"' in wav.headers["content-disposition"]
    assert 'filename="r-warn.flac"' in flac.headers["content-disposition"]
    left, right = (soundfile.read(io.BytesIO(response.content), dtype="int16")[0] for response in (wav, flac))
    assert np.array_equal(left, right)


@pytest.mark.asyncio(loop_scope="session")
async def test_peaks_follow_the_sound(full: httpx.AsyncClient) -> None:
    peaks = (await full.get("/recordings/r-warn/peaks.json?buckets=100")).json()
    assert len(peaks["left"]) == len(peaks["right"]) == 200
    spoken = {channel: {start for side, _, start, _ in SPOKEN if side == channel} for channel in (0, 1)}
    for channel, side in ((0, "left"), (1, "right")):
        for start_ms in spoken[channel]:
            bucket = int((start_ms + 500) / 1000 / peaks["duration_s"] * 100)
            low, high = peaks[side][2 * bucket : 2 * bucket + 2]
            assert low < -300 and high > 300
    assert (await full.get("/recordings/r-warn/peaks.json?buckets=100000")).status_code == 422


@pytest.mark.asyncio(loop_scope="session")
async def test_the_transcript_names_who_says_what_when(full: httpx.AsyncClient) -> None:
    told = (await full.get("/recordings/r-warn/transcript.json", headers={"accept-language": "en"})).json()
    assert (told["state"], told["state_text"]) == ("done", "Transcribed")
    assert told["lines"][1] == {
        "channel": 0,
        "speaker": "Caller",
        "start_ms": 1500,
        "end_ms": 3900,
        "clock": "0:01",
        "lang": "en",
        "text": "hello this is your bank calling",
    }


async def test_a_changed_byte_is_seen(world: World, client: httpx.AsyncClient) -> None:
    await world.record("r-1", "c-1", WARNED, ALICE)
    proof = (await client.get("/recordings/r-1/proof.json")).json()
    assert proof == {"tone": "green", "text": "Verified unchanged", "detail": ""}
    found = world.archive.find("r-1")
    assert found is not None
    data = bytearray(found.path.read_bytes())
    data[len(data) // 2] ^= 1
    found.path.write_bytes(data)
    proof = (await client.get("/recordings/r-1/proof.json")).json()
    assert (proof["tone"], proof["text"]) == ("red", "Not as it was recorded")
    assert "altered" in proof["detail"]


async def test_an_erased_recording_keeps_its_page(world: World, client: httpx.AsyncClient) -> None:
    await world.record("r-1", "c-1", WARNED, ALICE)
    found = world.archive.find("r-1")
    assert found is not None
    with world.chain() as chain:
        world.archive.delete(found, chain, at=world.clock(), reason="retention")
    assert "not here any more" in (await client.get("/recordings/r-1")).text
    gone = await client.get("/recordings/r-1/audio.wav")
    assert gone.status_code == 410 and "has been deleted" in gone.text


async def test_a_recording_that_runs_and_one_that_waits_say_so(
    world: World, client: httpx.AsyncClient
) -> None:
    await world.record("r-wait", "c-1", WARNED, ALICE)
    await world.tell(
        world.clock(),
        RecordingStarted(
            call_id=CallId("c-2"),
            recording_id=RecordingId("r-run"),
            path="lab/2026/01/01/r-run.rwc",
            left=world.party(WARNED),
            right=world.party(ALICE),
        ),
    )
    listed = (await client.get("/recordings")).text
    assert "Queued" in listed and "running" in listed
    assert "Being recorded now" in (await client.get("/recordings/r-run")).text
    assert "appears here by itself" in (await client.get("/recordings/r-wait")).text
    job = await world.store.jobs.lease_job(world.clock(), 60.0, "test")
    assert job is not None
    await world.store.jobs.fail_job(job, "no model folder for en", None)
    page = (await client.get("/recordings/r-wait")).text
    assert "Failed" in page and "no model folder for en" in page


@pytest.mark.parametrize("path", ["../../../etc/passwd.rwc", "/etc/passwd", "lab/x.rwc"])
async def test_a_path_from_the_wire_does_not_lead_out(
    world: World, client: httpx.AsyncClient, path: str
) -> None:
    event = RecordingStarted(
        call_id=CallId("c"),
        recording_id=RecordingId("r-odd"),
        path=path,
        left=world.party(WARNED),
        right=world.party(ALICE),
    )
    await world.tell(world.clock(), event)
    response = await client.get("/recordings/r-odd/audio.wav")
    assert response.status_code in (410, 500)
    assert "root:" not in response.text


@given(st.integers(0, 5000), st.integers(0, 6000) | st.none(), st.integers(0, 6000) | st.none())
def test_a_range_is_the_slice_it_names(size: int, first: int | None, last: int | None) -> None:
    data = bytes(size)
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    span = byte_range(header, size)
    if first is None and last is None:
        assert span == (0, size, False)
    elif first is None:
        assert span == ((max(size - (last or 0), 0), size, True) if last and size else None)
    elif last is not None and last < first:
        assert span == (0, size, False)
    elif first >= size:
        assert span is None
    else:
        stop = size if last is None else last + 1
        assert span is not None and span[2]
        assert data[span[0] : span[1]] == data[first:stop]
        assert span[1] - span[0] == len(data[first:stop])


@pytest.mark.parametrize(
    "header", [None, "", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes=٣-٤", "bytes"]
)
def test_what_is_no_single_byte_range_gets_everything(header: str | None) -> None:
    assert byte_range(header, 10) == (0, 10, False)
