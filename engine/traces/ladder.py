"""A call's trace as a ladder: who sent what to whom and when, with what was decided between the messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from engine.model.config import Config
from engine.traces.entries import CallTrace, Message, Note

_REQUEST: Final = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]{1,40}) ")
_STATUS: Final = re.compile(r"SIP/2\.0 ([1-6][0-9][0-9]) ?([^\n]{0,60})")
_CSEQ: Final = re.compile(r"^cseq[ \t]*:[ \t]*[0-9]{1,10}[ \t]+([A-Za-z0-9\-.!%*_+`'~]{1,40})", re.I | re.M)


class Column(IntEnum):
    """Carriers stand on the left, subscribers on the right."""

    LEFT = 0
    ENGINE = 1
    RIGHT = 2


@dataclass(frozen=True, slots=True)
class Arrow:
    """One message. `after_ms` counts from the first row."""

    after_ms: float
    sender: Column
    receiver: Column
    method: str
    """Of the request, or of the one that is answered; "" where it cannot be read."""
    status: int
    """0: a request."""
    reason: str
    role: str
    transport: str
    remote: str
    body: str
    size: int
    again: bool
    """The very same has gone this way before: a retransmission."""
    text: str


@dataclass(frozen=True, slots=True)
class Remark:
    """What the journal tells at this point."""

    after_ms: float
    kind: str
    detail: Mapping[str, str]


Row = Arrow | Remark


@dataclass(frozen=True, slots=True)
class Ladder:
    call_id: str
    direction: str
    began_at: float
    """Seconds since the epoch of the first row."""
    names: tuple[str, str, str]
    """Slugs of the columns: "carrier", "engine", "access", or "agent"."""
    addresses: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    """host:port of each column, as they turned up."""
    rows: tuple[Row, ...]
    dropped: int


def ladder(trace: CallTrace, sides: Mapping[str, str]) -> Ladder:
    """`sides` says of hosts which column they are: see `sides_of`."""
    began_at = trace.items[0].at if trace.items else 0.0
    seen: set[tuple[str, str, str]] = set()
    addresses: tuple[dict[str, None], dict[str, None], dict[str, None]] = ({}, {}, {})
    rows: list[Row] = []
    for item in trace.items:
        after_ms = round((item.at - began_at) * 1000, 3)
        if isinstance(item, Note):
            rows.append(Remark(after_ms, item.kind, item.detail))
            continue
        role = trace.roles.get(item.sip_call_id, "")
        peer = _column(role, trace.direction)
        addresses[peer][item.remote] = None
        addresses[Column.ENGINE][item.local] = None
        known = (item.way, item.remote, item.text)
        rows.append(_arrow(item, after_ms, role, peer, again=known in seen))
        seen.add(known)
    left, engine, right = (tuple(found) for found in addresses)
    names = (
        _name(left, trace.direction, Column.LEFT, sides),
        "engine",
        _name(right, "", Column.RIGHT, sides),
    )
    return Ladder(
        trace.call_id, trace.direction, began_at, names, (left, engine, right), tuple(rows), trace.dropped
    )


def sides_of(config: Config) -> dict[str, str]:
    """Host → "carrier" or "access", as far as the trunks name hosts; the agent is "agent"."""
    found = {config.dissuasion.agent.host: "agent"}
    for trunk in config.trunk.values():
        hosts = list(trunk.match)
        if trunk.next_hop is not None:
            hosts.append(trunk.next_hop.host)
        found |= dict.fromkeys(hosts, trunk.side)
    return found


def _arrow(message: Message, after_ms: float, role: str, peer: Column, *, again: bool) -> Arrow:
    status = _STATUS.match(message.text)
    request = _REQUEST.match(message.text) if status is None else None
    cseq = _CSEQ.search(message.text) if status is not None else None
    method = request or cseq
    sender, receiver = (peer, Column.ENGINE) if message.way == "in" else (Column.ENGINE, peer)
    return Arrow(
        after_ms=after_ms,
        sender=sender,
        receiver=receiver,
        method=method[1] if method is not None else "",
        status=int(status[1]) if status is not None else 0,
        reason=status[2].strip() if status is not None else "",
        role=role,
        transport=message.transport,
        remote=message.remote,
        body=message.body,
        size=message.size,
        again=again,
        text=message.text,
    )


def _column(role: str, direction: str) -> Column:
    calling = role in ("caller", "agent")
    return Column.LEFT if calling != (direction == "outbound") else Column.RIGHT


def _name(hosts: tuple[str, ...], direction: str, column: Column, sides: Mapping[str, str]) -> str:
    """What most of the column's hosts are; by the column alone where no trunk names them."""
    if column is Column.LEFT and direction == "dissuasion":
        return "agent"
    found = {sides[host] for address in hosts if (host := address.rpartition(":")[0].strip("[]")) in sides}
    if len(found) == 1:
        return found.pop()
    return "carrier" if column is Column.LEFT else "access"
