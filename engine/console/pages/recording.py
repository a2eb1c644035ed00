"""Recordings: the list, the page to listen and read along, and the sound itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import Response, StreamingResponse

from engine.console import words
from engine.console.i18n import Translator
from engine.console.numbers import show_number
from engine.console.proof import prove
from engine.console.render import Pages
from engine.console.services import Services
from engine.console.viewer import Viewer, duration
from engine.console.words import word
from engine.model.ids import RecordingId
from engine.store.entries import RecordingEntry
from recordings.capture import Capture
from recordings.errors import RecordingError
from recordings.export import flac_bytes, wav_range, wav_size, waveform
from recordings.transcripts import Transcript

PAGE_ROWS: Final = 50
PEAKS_MAX: Final = 4000


def routes(services: Services, pages: Pages) -> APIRouter:
    router = APIRouter()

    async def entry_of(recording_id: str) -> RecordingEntry:
        entry = await services.recordings.get_recording(services.tenant, RecordingId(recording_id))
        if entry is None:
            raise HTTPException(404, "recording")
        return entry

    async def capture_of(recording_id: str) -> Capture:
        """The open sound; the caller closes it."""
        entry = await entry_of(recording_id)
        try:
            path = services.archive.locate(entry.path)
            return await asyncio.to_thread(Capture.open, path, services.recording_key)
        except FileNotFoundError:
            raise HTTPException(410, "deleted") from None
        except (ValueError, RecordingError, OSError) as error:
            raise HTTPException(500, f"sound:{error}") from error

    @router.get("/recordings")
    async def listing(request: Request, before: Annotated[str, Query(max_length=40)] = "") -> Response:
        viewer = Viewer.of(request)
        entries = await services.recordings.list_recordings(
            services.tenant, limit=PAGE_ROWS + 1, before=_instant(before)
        )
        shown = entries[:PAGE_ROWS]
        return pages.page(
            request,
            "recordings.html",
            section="recordings",
            cursor=services.feed.cursor,
            rows=[_row(entry, viewer.t) for entry in shown],
            older=shown[-1].started_at.isoformat() if len(entries) > PAGE_ROWS else "",
            enabled=services.config.recording.enabled,
        )

    @router.get("/recordings/{recording_id}")
    async def recording(request: Request, recording_id: str) -> Response:
        viewer = Viewer.of(request)
        cursor = services.feed.cursor
        entry = await entry_of(recording_id)
        transcript = await services.recordings.get_transcript(services.tenant, entry.recording_id)
        there = await asyncio.to_thread(_there, services, entry)
        return pages.page(
            request,
            "recording.html",
            section="recordings",
            cursor=cursor,
            row=_row(entry, viewer.t),
            entry=entry,
            there=there,
            running=entry.closed_at is None,
            lines=_lines(transcript, viewer.t),
            transcript=transcript,
            channels=[viewer.t(name) for name in words.CHANNELS],
        )

    @router.get("/recordings/{recording_id}/transcript.json")
    async def transcript_json(request: Request, recording_id: str) -> Response:
        t = Viewer.of(request).t
        entry = await entry_of(recording_id)
        transcript = await services.recordings.get_transcript(services.tenant, entry.recording_id)
        return _json({"lines": _lines(transcript, t), **_transcript_state(entry, t)})

    @router.get("/recordings/{recording_id}/proof.json")
    async def proof_json(request: Request, recording_id: str) -> Response:
        """Whether the stored bytes are those of the signed chain; reads the whole file."""
        entry = await entry_of(recording_id)
        return _json(await asyncio.to_thread(prove, services, entry, Viewer.of(request).t))

    @router.get("/recordings/{recording_id}/peaks.json")
    async def peaks(recording_id: str, buckets: Annotated[int, Query(ge=1, le=PEAKS_MAX)] = 1200) -> Response:
        """Lowest and highest sample (int16) of each bucket, one after the other, for each channel."""
        capture = await capture_of(recording_id)

        def compute() -> bytes:
            with capture:
                left, right = waveform(capture, buckets)
                return msgspec.json.encode(
                    {
                        "duration_s": capture.duration_s,
                        "left": left.ravel().tolist(),
                        "right": right.ravel().tolist(),
                    }
                )

        return Response(await asyncio.to_thread(compute), media_type="application/json")

    @router.get("/recordings/{recording_id}/audio.wav")
    async def wav(request: Request, recording_id: str, download: bool = False) -> Response:
        capture = await capture_of(recording_id)
        size = wav_size(capture)
        span = byte_range(request.headers.get("range"), size)
        if span is None:
            capture.close()
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        start, stop, partial = span
        headers = {"Accept-Ranges": "bytes", "Content-Length": str(stop - start)}
        if partial:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        if download:
            headers["Content-Disposition"] = f'attachment; filename="{_filename(recording_id)}.wav"'
        return StreamingResponse(
            _closing(capture, start, stop), 206 if partial else 200, headers, media_type="audio/wav"
        )

    @router.get("/recordings/{recording_id}/audio.flac")
    async def flac(recording_id: str) -> Response:
        capture = await capture_of(recording_id)

        def compute() -> bytes:
            with capture:
                return flac_bytes(capture)

        return Response(
            await asyncio.to_thread(compute),
            media_type="audio/flac",
            headers={"Content-Disposition": f'attachment; filename="{_filename(recording_id)}.flac"'},
        )

    return router


def byte_range(header: str | None, size: int) -> tuple[int, int, bool] | None:
    """Start, stop (exclusive) and whether it is partial; None when not satisfiable (RFC 9110 §14.2).

    Of several ranges, or what is no byte range, the whole is given.
    """
    match = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", (header or "").strip())
    if match is None or match[1] == match[2] == "":
        return 0, size, False
    if not match[1]:
        length = int(match[2])
        return (max(size - length, 0), size, True) if length and size else None
    start = int(match[1])
    stop = min(int(match[2]) + 1, size) if match[2] else size
    if match[2] and int(match[2]) < start:
        return 0, size, False
    return (start, stop, True) if start < size else None


def _closing(capture: Capture, start: int, stop: int) -> Iterator[bytes]:
    with capture:
        yield from wav_range(capture, start, stop)


def _there(services: Services, entry: RecordingEntry) -> bool:
    try:
        return services.archive.locate(entry.path).is_file()
    except ValueError:
        return False


def _filename(recording_id: str) -> str:
    return re.sub(r"[^0-9A-Za-z_.-]", "_", recording_id)[:80]


def _instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise HTTPException(422, "time") from None
    if instant.tzinfo is None:
        raise HTTPException(422, "time")
    return instant


def _row(entry: RecordingEntry, t: Translator) -> dict[str, Any]:
    return {
        "id": entry.recording_id,
        "href": f"/recordings/{entry.recording_id}",
        "call_href": f"/calls/{entry.call_id}",
        "left": show_number(entry.left, t),
        "right": show_number(entry.right, t),
        "started_at": entry.started_at,
        "length": duration(entry.duration_ms) if entry.closed_at else "",
        "size_kb": round(entry.size_bytes / 1024),
        "interrupted": entry.interrupted,
        "languages": " / ".join(
            dict.fromkeys(word(words.LANGUAGE_NAMES, x, t) for x in entry.languages if x)
        ),
        **_transcript_state(entry, t),
    }


def _transcript_state(entry: RecordingEntry, t: Translator) -> dict[str, str]:
    return {
        "state": entry.transcription,
        "state_text": word(words.TRANSCRIPT_STATES, entry.transcription, t),
        "error": entry.error,
    }


def _lines(transcript: Transcript | None, t: Translator) -> list[dict[str, Any]]:
    if transcript is None:
        return []
    return [
        {
            "channel": segment.channel,
            "speaker": t(words.CHANNELS[segment.channel]),
            "start_ms": segment.start_ms,
            "end_ms": segment.end_ms,
            "clock": duration(segment.start_ms),
            "lang": segment.language,
            "text": segment.text,
        }
        for segment in transcript.segments
        if segment.channel in (0, 1)
    ]


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
