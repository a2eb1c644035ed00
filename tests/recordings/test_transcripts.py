"""Transcripts: what counts as speech, who said it, and what happens when a model is not there."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recordings.capture import Capture
from recordings.client import JobFailed, TranscriptionWorker
from recordings.errors import ModelMissing, ModelUnusable
from recordings.g711 import Codec, Pcm
from recordings.speech import speech_regions, tone_frames
from recordings.transcripts import Segment, Word, transcribe_capture
from recordings.vosk_recognizer import VoskRecognizer, check_model, doubled, parse_result
from recordings.worker import Answer, Job, decode_answer, encode_job
from recordings.writer import CaptureWriter

SPEECH = Path(__file__).parents[2] / "lab" / "speech"
MODEL = SPEECH / "models" / "en"
Encode = Callable[[Codec, NDArray[np.float64]], bytes]

needs_model = pytest.mark.skipif(
    not MODEL.is_dir(), reason=f"no Vosk model at {MODEL}: `make train` makes it"
)


def spoken(line: str) -> Pcm:
    pcm, rate_hz = soundfile.read(SPEECH / "lines" / "en" / f"{line}.flac", dtype="int16")
    assert rate_hz == 8000
    return np.asarray(pcm)


def record(path: Path, encode: Encode, *parts: tuple[int, int, Pcm], key: bytes | None = None) -> Path:
    """Record (channel, first sample, sound) parts."""
    writer = CaptureWriter(
        path / "talk.rwc",
        recording_id="talk",
        tenant="lab",
        call_id="call-1",
        started_at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        codecs=(Codec.PCMU, Codec.PCMA),
        key=key,
    )
    for channel, first, sound in parts:
        writer.write(channel, first, encode((Codec.PCMU, Codec.PCMA)[channel], sound.astype(np.float64)))
    writer.close("bye")
    return writer.path


# --- voice activity ---


def gated(*hz: float, on_s: float, every_s: float, noise: float = 0.0, seconds: int = 12) -> Pcm:
    time_s = np.arange(seconds * 8000) / 8000
    sound = sum(np.sin(2 * np.pi * each * time_s) for each in hz) * 4000 * (time_s % every_s < on_s)
    return (sound + np.random.default_rng(3).normal(size=len(time_s)) * noise).astype(np.int16)


@pytest.mark.parametrize("noise", [0.0, 20.0, 200.0])
@pytest.mark.parametrize(
    ("hz", "on_s", "every_s"),
    [
        ((450,), 1.0, 5.0),
        ((440, 480), 2.0, 6.0),
        ((425,), 1.0, 5.0),
        ((400, 450), 0.4, 3.0),
        ((450,), 0.35, 0.7),
        ((770, 1336), 0.12, 0.25),
        ((941, 1477), 0.3, 0.6),
    ],
    ids=["ringback-cn", "ringback-us", "ringback-eu", "ringback-uk", "busy-cn", "dtmf-5", "dtmf-#"],
)
def test_tones_are_not_speech(hz: tuple[float, ...], on_s: float, every_s: float, noise: float) -> None:
    assert speech_regions(gated(*hz, on_s=on_s, every_s=every_s, noise=noise)) == []


@pytest.mark.parametrize("line", ["caller_transfer", "callee_who", "callee_hello"])
def test_a_spoken_line_is_one_region_between_tones(line: str) -> None:
    voice = spoken(line)
    tone = gated(450, on_s=1.0, every_s=5.0, seconds=2)
    dtmf = gated(697, 1209, on_s=0.12, every_s=0.25, seconds=1)
    sound = np.concatenate([tone, voice, np.zeros(8000, np.int16), dtmf])
    ((start, stop),) = speech_regions(sound)
    assert len(tone) - 2400 <= start <= len(tone) + 2400
    assert abs(stop - len(tone) - len(voice)) <= 8000
    assert stop <= len(tone) + len(voice) + 8000


def test_a_monologue_is_cut_below_thirty_seconds() -> None:
    voice = spoken("caller_transfer")
    regions = speech_regions(np.tile(voice[4000:-4000], 20))
    assert len(regions) > 1
    assert all(stop - start <= 30 * 8000 for start, stop in regions)


@settings(deadline=None)
@given(st.lists(st.integers(-32768, 32767), max_size=900))
def test_regions_lie_in_the_sound_and_in_order(samples: list[int]) -> None:
    pcm = np.array(samples, dtype=np.int16)
    edges = [edge for region in speech_regions(np.tile(pcm, 20)) for edge in region]
    assert edges == sorted(edges)
    assert all(0 <= edge <= 20 * len(pcm) for edge in edges)
    assert len(tone_frames(pcm)) == len(pcm) // 160


# --- channels ---


class Parrot:
    """Hears one word in each region it is given: the language, and how long it was."""

    name = "parrot"

    def __init__(self, model: str) -> None:
        self.model = model
        self.version = f"{model}-1"

    def transcribe(self, pcm: Pcm, language: str) -> list[Segment]:
        end_ms = len(pcm) // 8
        words = (Word(language, 0, end_ms, 1.0),)
        return [Segment(start_ms=0, end_ms=end_ms, channel=0, language=language, text=language, words=words)]


def test_each_channel_is_heard_by_itself_in_its_language(tmp_path: Path, encode: Encode) -> None:
    voice = spoken("callee_who")
    path = record(tmp_path, encode, (1, 0, voice), (0, 40000, voice), (1, 80000, voice))
    with Capture.open(path) as capture:
        transcript = transcribe_capture(
            capture, {"en": Parrot("small"), "zh-CN": Parrot("big")}, ("zh-CN", "en")
        )
    assert [(part.channel, part.text) for part in transcript.segments] == [(1, "en"), (0, "zh-CN"), (1, "en")]
    assert [
        abs(part.start_ms - ms) < 400 for part, ms in zip(transcript.segments, (0, 5000, 10000), strict=True)
    ]
    for part in transcript.segments:
        assert (part.words[0].start_ms, part.words[0].end_ms) == (part.start_ms, part.end_ms)
    assert transcript.key == ("talk", "parrot:big+parrot:small", "big-1+small-1")
    assert transcript.duration_ms == (80000 + len(voice)) // 8


def test_a_language_without_a_model_is_named(tmp_path: Path, encode: Encode) -> None:
    path = record(tmp_path, encode, (0, 0, np.zeros(800, np.int16)))
    with Capture.open(path) as capture:
        with pytest.raises(ModelMissing, match=r"'fr' \(there is: en\)"):
            transcribe_capture(capture, {"en": Parrot("m")}, ("en", "fr"))
        with pytest.raises(ValueError, match="two channels"):
            transcribe_capture(capture, {"en": Parrot("m")}, ("en",))


# --- Vosk ---


def make_model_folder(folder: Path) -> Path:
    for name in (
        "am/final.mdl",
        "conf/model.conf",
        "conf/mfcc.conf",
        "graph/HCLG.fst",
        "graph/words.txt",
        "graph/phones/word_boundary.int",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("--sample-frequency=8000\n" if name.startswith("conf") else "")
    return folder


def test_a_missing_model_folder_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="put an unpacked Vosk model there") as caught:
        VoskRecognizer(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in str(caught.value)


@pytest.mark.parametrize(
    "name", ["am/final.mdl", "conf/model.conf", "conf/mfcc.conf", "graph/HCLG.fst", "graph/words.txt"]
)
def test_a_missing_file_of_a_model_is_named(tmp_path: Path, name: str) -> None:
    folder = make_model_folder(tmp_path / "model")
    check_model(folder)
    (folder / name).unlink()
    with pytest.raises(ModelMissing, match=name) as caught:
        check_model(folder)
    assert str(folder) in str(caught.value)


def test_a_model_with_a_look_ahead_graph_is_complete(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "model")
    (folder / "graph/HCLG.fst").unlink()
    for name in ("HCLr.fst", "Gr.fst", "disambig_tid.int"):
        (folder / "graph" / name).write_text("")
    check_model(folder)


def test_a_model_of_another_rate_is_refused(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "model")
    (folder / "conf/mfcc.conf").write_text("--sample-frequency=44100\n")
    with pytest.raises(ModelUnusable, match="44100"):
        VoskRecognizer(folder)


@pytest.mark.parametrize("hz", [300, 1000, 3400])
def test_sound_for_a_16_khz_model_keeps_its_pitch_and_level_and_gains_no_image(hz: int) -> None:
    narrow = (8000 * np.sin(2 * np.pi * hz * np.arange(8000) / 8000)).astype(np.int16)
    wide = doubled(narrow)
    assert wide.shape == (16000,)
    spectrum = np.abs(np.fft.rfft(wide)) / 8000
    assert spectrum[hz] == pytest.approx(8000, rel=0.03)
    assert spectrum[8000 - hz] < 80


def test_han_words_are_joined_and_unknown_ones_shown_as_such() -> None:
    def result(*words: str) -> str:
        items = [{"word": word, "start": at, "end": at + 0.5, "conf": 1.0} for at, word in enumerate(words)]
        return json.dumps({"result": items, "text": " ".join(words)})

    mixed = parse_result(result("请", "把", "[unk]", "钱", "转到", "safe", "账户"), "zh-CN")
    assert mixed
    assert mixed.text == "请把 … 钱转到 safe 账户"
    assert [word.text for word in mixed.words[:3]] == ["请", "把", "…"]
    assert (mixed.start_ms, mixed.end_ms) == (0, 6500)
    assert parse_result(result("[unk]", "[unk]"), "en") is None
    assert parse_result('{"text": ""}', "en") is None


@needs_model
def test_vosk_hears_who_said_what_and_when(tmp_path: Path, encode: Encode) -> None:
    hello, who, transfer = spoken("caller_hello"), spoken("callee_who"), spoken("caller_transfer")
    ringback = gated(450, on_s=1.0, every_s=5.0, seconds=2)
    path = record(
        tmp_path, encode, (0, 0, ringback), (0, 16000, hello), (1, 56000, who), (0, 96000, transfer)
    )
    recognisers = {"en": VoskRecognizer(MODEL)}
    with Capture.open(path) as capture:
        transcript = transcribe_capture(capture, recognisers, ("en", "en"))
        assert transcribe_capture(capture, recognisers, ("en", "en")) == transcript
    heard = [(part.channel, part.text) for part in transcript.segments]
    assert heard == [
        (0, "hello this is your bank calling"),
        (1, "who is this i do not believe you"),
        (0, "i am calling from your bank please transfer the money to a safe account"),
    ]
    for part, first in zip(transcript.segments, (16000, 56000, 96000), strict=True):
        assert abs(part.start_ms - first // 8) < 600
        times = [time for word in part.words for time in (word.start_ms, word.end_ms)]
        assert times == sorted(times)
        assert (times[0], times[-1]) == (part.start_ms, part.end_ms)
        assert all(0 <= word.confidence <= 1 for word in part.words)


# --- the worker process ---


def ask(*lines: bytes) -> list[Answer]:
    done = subprocess.run(
        [sys.executable, "-m", "recordings.worker"], input=b"".join(lines), capture_output=True, check=True
    )
    return [decode_answer(line) for line in done.stdout.split(b"\n")[:-1]]


def job(path: Path, model: Path, **fields: str) -> bytes:
    return encode_job(Job(id=path.name, path=path, languages=("en", "en"), models={"en": model}, **fields))


def test_bad_jobs_are_answered_and_do_not_end_the_worker(tmp_path: Path, encode: Encode) -> None:
    path = record(tmp_path, encode, (0, 0, np.zeros(800, np.int16)), key=bytes(32))
    (tmp_path / "junk.rwc").write_bytes(b"junk")
    lines = [
        b"not json\n",
        b'{"id": "1"}\n',
        b"\xff\xfe\n",
        job(tmp_path / "nowhere.rwc", MODEL),
        job(tmp_path / "junk.rwc", MODEL),
        job(path, tmp_path / "no-model", key="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        job(path, MODEL, key="BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        job(path, MODEL, key="?"),
    ]
    answers = ask(*lines)
    assert [answer.error.kind if answer.error else None for answer in answers] == [
        "bad_job",
        "bad_job",
        "bad_job",
        "not_found",
        "not_a_capture",
        "model_missing",
        "wrong_key",
        "bad_job",
    ]
    assert [answer.id for answer in answers[3:6]] == ["nowhere.rwc", "junk.rwc", "talk.rwc"]
    assert answers[5].error
    assert "no-model" in answers[5].error.message


@needs_model
def test_the_worker_transcribes(tmp_path: Path, encode: Encode) -> None:
    path = record(tmp_path, encode, (1, 8000, spoken("callee_who")), key=bytes(32))
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    missing, done, refused = ask(job(tmp_path / "x.rwc", MODEL), job(path, MODEL, key=key), job(path, MODEL))
    assert missing.error
    assert done.transcript
    assert done.transcript.model == "vosk:en"
    assert [part.text for part in done.transcript.segments] == ["who is this i do not believe you"]
    assert refused.error
    assert refused.error.kind == "key_required"


_PARENT = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-m", "recordings.worker"])
worker.wait()
"""


def test_the_worker_dies_with_its_parent() -> None:
    """Its stdin stays open here, so only the parent's death can end it; then its stdout ends too."""
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as parent:
        assert parent.stdin
        assert parent.stdout
        parent.stdin.write(b"not a job\n")
        parent.stdin.flush()
        answer = decode_answer(parent.stdout.readline())
        assert answer.error
        parent.kill()
        assert parent.stdout.read() == b""


# --- the parent's end ---


async def test_the_client_tells_what_went_wrong_and_goes_on(tmp_path: Path, encode: Encode) -> None:
    path = record(tmp_path, encode, (0, 0, np.zeros(800, np.int16)))
    worker = TranscriptionWorker()
    for missing in ("one", "two"):
        with pytest.raises(JobFailed, match=missing) as caught:
            await worker.transcribe(
                Job(id="1", path=path, languages=("en", "en"), models={"en": tmp_path / missing})
            )
        assert caught.value.kind == "model_missing"
    await worker.close()


async def test_a_model_that_kills_the_worker_fails_its_job_alone(tmp_path: Path, encode: Encode) -> None:
    path = record(tmp_path, encode, (0, 0, np.zeros(800, np.int16)))
    broken = make_model_folder(tmp_path / "broken")
    worker = TranscriptionWorker()
    with pytest.raises(JobFailed) as caught:
        await worker.transcribe(Job(id="1", path=path, languages=("en", "en"), models={"en": broken}))
    assert caught.value.kind in ("crashed", "model_unusable")
    with pytest.raises(JobFailed) as caught:
        await worker.transcribe(Job(id="2", path=tmp_path / "x", languages=("en", "en"), models={}))
    assert caught.value.kind == "not_found"
    await worker.close()


@needs_model
async def test_the_client_brings_a_transcript(tmp_path: Path, encode: Encode) -> None:
    path = record(tmp_path, encode, (0, 0, spoken("callee_who")))
    worker = TranscriptionWorker()
    job_ = Job(id="1", path=path, languages=("en", "en"), models={"en": MODEL})
    transcript = await worker.transcribe(job_)
    assert [part.channel for part in transcript.segments] == [0]
    assert await worker.transcribe(job_) == transcript
    await worker.close()
