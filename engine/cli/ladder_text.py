"""A SIP ladder for a terminal, in plain characters and 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from engine.traces.ladder import Arrow, Column, Ladder, Remark

SPAN: Final = 31
"""From one column to the next."""
_TIME: Final = 13


def lines(ladder: Ladder, *, full: bool = False) -> Iterator[str]:
    """The ladder line by line; with `full` each message's text below it."""
    at = datetime.fromtimestamp(ladder.began_at, UTC).isoformat(sep=" ", timespec="milliseconds")
    yield f"call {ladder.call_id}, {ladder.direction}, {at.removesuffix('+00:00')} UTC"
    if ladder.dropped:
        yield f"{ladder.dropped} earlier messages were dropped: there was no room for them"
    yield ""
    yield _centred(tuple("ringward" if name == "engine" else name for name in ladder.names))
    yield from _addresses(ladder)
    crowded = [len(found) > 1 for found in ladder.addresses]
    for row in ladder.rows:
        if isinstance(row, Remark):
            yield f"{_time(row.after_ms)}|{' ' * (SPAN - 1)}* {remark(row)}"
        else:
            yield _arrow(row, crowded)
    if full:
        for row in ladder.rows:
            if isinstance(row, Arrow):
                yield ""
                sender, receiver = (_who(column, row, ladder) for column in (row.sender, row.receiver))
                way = f"{sender} -> {receiver}, {row.transport}, {row.size} bytes"
                yield f"{_time(row.after_ms).rstrip()}: {way}"
                yield from (f"    {line}".rstrip() for line in row.text.split("\n"))


def label(arrow: Arrow) -> str:
    """`INVITE sdp`, `180 Ringing`, `200 OK, BYE`, `INVITE sdp (again)`."""
    if arrow.status:
        text = f"{arrow.status} {arrow.reason}".rstrip()
        if arrow.method not in ("INVITE", ""):
            text += f", {arrow.method}"
    else:
        text = arrow.method or "(unreadable)"
    if arrow.body:
        text += " sdp" if arrow.body == "application/sdp" else " +body"
    return f"{text} (again)" if arrow.again else text


def remark(row: Remark) -> str:
    """An event in a few words."""
    found = row.detail
    match row.kind:
        case "call_screened":
            why = ", ".join(found[name] for name in ("level", "reason") if name in found)
            told = f"{found.get('action', '')} by rule {found.get('rule', '')}"
            return f"screened: {told}" + (f" ({why})" if why else "")
        case "call_stage":
            return " ".join(found[name].replace("_", " ") for name in ("stage", "detail") if name in found)
        case "popup_sent":
            return (
                f"popup {found.get('popup', '')}: "
                f"phone {found.get('sip_result', '')}, pages {found.get('bus_result', '')}"
            )
        case "call_ended":
            status = f", {found['status']} to the caller" if "status" in found else ""
            return f"ended: {found.get('blame', '')}/{found.get('reason', '')}{status}"
        case "alarm":
            return f"alarm: {found.get('slug', '')}"
        case kind:
            return ": ".join([kind.replace("_", " "), *found.values()])


def as_json(ladder: Ladder, *, full: bool) -> dict[str, object]:
    """For programs; texts of messages only with `full`."""
    return {
        "call_id": ladder.call_id,
        "direction": ladder.direction,
        "began_at": ladder.began_at,
        "columns": [
            {"name": "ringward" if name == "engine" else name, "addresses": list(addresses)}
            for name, addresses in zip(ladder.names, ladder.addresses, strict=True)
        ],
        "rows": [_row_as_json(row, full=full) for row in ladder.rows],
        "dropped": ladder.dropped,
    }


def _row_as_json(row: Arrow | Remark, *, full: bool) -> dict[str, object]:
    if isinstance(row, Remark):
        return {"after_ms": row.after_ms, "event": row.kind, **row.detail}
    told: dict[str, object] = {
        "after_ms": row.after_ms,
        "from": int(row.sender),
        "to": int(row.receiver),
        "message": label(row),
        "leg": row.role,
        "transport": row.transport,
        "remote": row.remote,
        "size": row.size,
        "again": row.again,
    }
    return told | {"text": row.text} if full else told


def _time(after_ms: float) -> str:
    return f"{after_ms:>{_TIME - 4}.1f} ms ".ljust(_TIME)


def _centred(names: tuple[str, ...]) -> str:
    line = ""
    for column, name in enumerate(names):
        line = line.ljust(max(0, _TIME + column * SPAN - len(name) // 2)) + name
    return line


def _addresses(ladder: Ladder) -> Iterator[str]:
    for row in range(max(map(len, ladder.addresses), default=0)):
        yield _centred(tuple(found[row] if row < len(found) else "" for found in ladder.addresses)).rstrip()


def _arrow(arrow: Arrow, crowded: list[bool]) -> str:
    first = min(arrow.sender, arrow.receiver)
    peer = arrow.receiver if arrow.sender is Column.ENGINE else arrow.sender
    text = label(arrow)
    if crowded[peer]:
        text += f" {arrow.remote.rpartition(':')[0]}"
    inner = SPAN - 1
    if len(text) > inner - 6:
        text = text[: inner - 7] + "~"
    if arrow.sender < arrow.receiver:
        shaft = f"-- {text} ".ljust(inner - 1, "-") + ">"
    else:
        shaft = "<" + f"-- {text} ".ljust(inner - 1, "-")
    gap = " " * inner
    lanes = (shaft, gap) if first is Column.LEFT else (gap, shaft)
    return f"{_time(arrow.after_ms)}|{lanes[0]}|{lanes[1]}|"


def _who(column: Column, arrow: Arrow, ladder: Ladder) -> str:
    return "ringward" if column is Column.ENGINE else f"{ladder.names[column]} {arrow.remote}"
