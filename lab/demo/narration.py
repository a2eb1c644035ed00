"""One line an event, in words, as it happens."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from engine.model.events import (
    Alarm,
    CallEnded,
    CallScreened,
    CallStage,
    DissuasionEnded,
    PopupSent,
    Record,
    RecordingClosed,
)
from lab.demo.checks import CallReport
from lab.phones.messages import Observation

_TONES = {"reject": "bold red", "warn": "yellow", "label": "yellow", "allow": "green"}
_PHONE_WORDS = {
    "calling": "dials",
    "incoming": "rings",
    "message": "popup:",
    "pressed": "presses",
    "said": "says",
    "refused": "is told",
    "picked_up": "picks up",
}


class Narrator:
    """Prints what phones and engine tell."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def title(self, call: CallReport) -> None:
        self._console.print()
        self._console.print(Text(call.title, style="bold"), soft_wrap=True)

    def phone(self, seen: Observation) -> None:
        words = _PHONE_WORDS.get(seen.what)
        if words is not None:
            status = f"{seen.status} " if seen.status else ""
            self._line(seen.phone, f"{words} {status}{seen.detail}", "cyan")

    def record(self, record: Record) -> None:
        event = record.event
        match event:
            case CallScreened():
                self._line(
                    "engine", f"verdict {event.action}: {event.reason} ({event.rule})", _TONES[event.action]
                )
            case CallStage():
                self._line("engine", f"{event.stage} {event.detail}", "dim")
            case PopupSent():
                self._line(
                    "engine",
                    f"popup {event.popup}: MESSAGE {event.sip_result}, bus {event.bus_result}",
                    "dim",
                )
            case RecordingClosed():
                self._line(
                    "engine", f"recording of {event.duration_ms / 1000:.1f} s: {event.path}", "magenta"
                )
            case DissuasionEnded():
                self._line("agent", f"outcome {event.outcome}", "bold")
            case CallEnded():
                self._line("engine", f"ended: {event.outcome}, status {event.status}", "dim")
            case Alarm():
                self._line("engine", f"ALARM {event.slug}: {event.detail}", "bold red")
            case _:
                pass

    def result(self, call: CallReport) -> None:
        for check in call.checks:
            mark, style = ("✓", "green") if check.held else ("✗", "bold red")
            seen = f"  [{check.seen}]" if check.seen else ""
            line = Text(f"  {mark} ", style).append(check.text, "default").append(seen, "dim")
            self._console.print(line, soft_wrap=True)

    def _line(self, who: str, what: str, style: str) -> None:
        self._console.print(Text(f"  {who:<11}", "dim").append(what.rstrip(), style), soft_wrap=True)
