"""Whether a recording is still what the signed chain says."""

from __future__ import annotations

from typing import TypedDict

from engine.console.i18n import N_, Translator
from engine.console.services import Services
from engine.console.words import Tone
from engine.store.entries import RecordingEntry
from recordings.errors import RecordingError
from recordings.places import heads_path, key_path, public_key_path
from recordings.verify import Report, verify_recording


class Proof(TypedDict):
    tone: Tone
    text: str
    detail: str


_VERIFIED = N_("Verified unchanged")
_UNSIGNED = N_("Unchanged; signatures not checked")
_INTERRUPTED = N_("Unchanged, cut short")
_BROKEN = N_("Not as it was recorded")
_UNKNOWN = N_("Could not be verified")


def prove(services: Services, entry: RecordingEntry, t: Translator) -> Proof:
    """Blocking: reads the recording's bytes and the chains."""
    folder = services.archive.folder
    public = public_key_path(key_path(folder))
    try:
        report = verify_recording(
            folder,
            entry.recording_id,
            heads=heads_path(folder),
            public_key=public if public.exists() else None,
        )
    except (RecordingError, ValueError, OSError) as error:
        return {"tone": "amber", "text": t(_UNKNOWN), "detail": str(error)}
    detail = "; ".join(f"{finding.kind}: {finding.detail}" for finding in report.findings)
    tone, text = _judge(report)
    return {"tone": tone, "text": t(text), "detail": detail}


def _judge(report: Report) -> tuple[Tone, str]:
    if not report.ok:
        return "red", _BROKEN
    if report.findings:
        return "amber", _INTERRUPTED
    return ("green", _VERIFIED) if report.signatures else ("grey", _UNSIGNED)
