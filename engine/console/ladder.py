"""A call's SIP ladder as its page shows it: words instead of slugs, in the viewer's language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from engine.console import words
from engine.console.i18n import N_, Translator
from engine.console.numbers import show_message
from engine.console.words import Tone, word
from engine.traces.ladder import Arrow, Column, Ladder, Remark

SDP: Final = "application/sdp"
COLUMNS: Final = {
    "carrier": N_("Carrier"),
    "engine": N_("Engine"),
    "access": N_("Subscriber"),
    "agent": N_("Advice agent"),
}

Told = tuple[str, str, Tone]
"""Title, detail and tone of an event."""
Tell = Callable[[Remark], Told | None]


@dataclass(frozen=True, slots=True)
class Rung:
    """One message. `lane` is the half it is drawn in, `way` where its arrow points."""

    after: str
    lane: str
    """"left" or "right"."""
    way: str
    label: str
    body: str
    """What comes with it: "SDP", or the type of another body."""
    again: bool
    spoken: str
    """Who sent it to whom, for who cannot see the arrow."""
    remote: str
    transport: str
    text: str


@dataclass(frozen=True, slots=True)
class Between:
    """What was decided or happened between two messages."""

    after: str
    title: str
    detail: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class LadderView:
    columns: tuple[tuple[str, tuple[str, ...]], ...]
    """Name and addresses, from left to right."""
    rows: tuple[Rung | Between, ...]
    dropped: int


def ladder_view(ladder: Ladder, t: Translator, tell: Tell) -> LadderView:
    """`tell` puts an event into words, or leaves it out."""
    names = tuple(word(COLUMNS, name, t) for name in ladder.names)
    rows: list[Rung | Between] = []
    for row in ladder.rows:
        if isinstance(row, Arrow):
            rows.append(_rung(row, names, t))
        elif (told := tell(row)) is not None:
            rows.append(Between(_after(row.after_ms), *told))
    return LadderView(tuple(zip(names, ladder.addresses, strict=True)), tuple(rows), ladder.dropped)


def _rung(arrow: Arrow, names: tuple[str, ...], t: Translator) -> Rung:
    sender, receiver = names[arrow.sender], names[arrow.receiver]
    return Rung(
        after=_after(arrow.after_ms),
        lane="left" if Column.LEFT in (arrow.sender, arrow.receiver) else "right",
        way="right" if arrow.sender < arrow.receiver else "left",
        label=_label(arrow, t),
        body="SDP" if arrow.body == SDP else arrow.body,
        again=arrow.again,
        spoken=t("%(sender)s to %(receiver)s", sender=sender, receiver=receiver),
        remote=arrow.remote,
        transport=arrow.transport.upper(),
        text=show_message(arrow.text),
    )


def _label(arrow: Arrow, t: Translator) -> str:
    if not arrow.status:
        return arrow.method or t("Unreadable message")
    of = f" · {arrow.method}" if arrow.method not in ("INVITE", "") else ""
    return f"{arrow.status} {arrow.reason}".rstrip() + of


def _after(after_ms: float) -> str:
    if after_ms < 1000:
        return f"+{after_ms:.1f} ms"
    return f"+{after_ms / 1000:.2f} s"


def told_of_alarm(remark: Remark, t: Translator) -> Told:
    return t("Alarm"), word(words.ALARMS, remark.detail.get("slug", ""), t), "red"
