"""From a trace to a ladder."""

from __future__ import annotations

from engine.traces.entries import CallTrace, Message
from engine.traces.ladder import Arrow, Column, Ladder, Remark, ladder
from tests.traces.kit import request, response


def message(at: float, way: str, known: str, data: bytes, remote: str, **more: str) -> Message:
    return Message(
        at=at,
        way=way,  # type: ignore[arg-type]
        transport="udp",
        local="127.0.20.1:5060",
        remote=remote,
        sip_call_id=known,
        text=data.decode().replace("\r\n", "\n"),
        **more,
    )


def rungs(told: Ladder) -> list[str]:
    found = []
    for row in told.rows:
        if isinstance(row, Arrow):
            what = f"{row.status} {row.method}" if row.status else row.method
            again = " again" if row.again else ""
            found.append(f"{row.after_ms} {row.sender.name}>{row.receiver.name} {what}{again}")
        else:
            assert isinstance(row, Remark)
            found.append(f"{row.after_ms} {row.kind}")
    return found


def trace(direction: str, roles: dict[str, str], *items: Message) -> CallTrace:
    return CallTrace(call_id="c1", direction=direction, items=items, roles=roles)


CARRIER, PHONE = "127.0.10.1:5060", "[2001:db8::1]:5060"
SIDES = {"127.0.10.1": "carrier", "2001:db8::1": "access"}


def test_carriers_are_left_and_subscribers_right() -> None:
    items = (
        message(10.0, "in", "a", request("INVITE", "a"), CARRIER, body="application/sdp"),
        message(10.002, "out", "b", request("INVITE", "b"), PHONE),
        message(10.5, "in", "b", response(180, "Ringing", "INVITE", "b"), PHONE),
        message(11.0, "out", "b", request("INVITE", "b"), PHONE),
    )
    told = ladder(trace("inbound", {"a": "caller", "b": "callee"}, *items), SIDES)
    assert told.names == ("carrier", "engine", "access")
    assert told.addresses == ((CARRIER,), ("127.0.20.1:5060",), (PHONE,))
    assert rungs(told) == [
        "0.0 LEFT>ENGINE INVITE",
        "2.0 ENGINE>RIGHT INVITE",
        "500.0 RIGHT>ENGINE 180 INVITE",
        "1000.0 ENGINE>RIGHT INVITE again",
    ]


def test_a_subscriber_who_calls_is_right_too() -> None:
    items = (
        message(1.0, "in", "a", request("INVITE", "a"), PHONE),
        message(1.1, "out", "b", request("INVITE", "b"), CARRIER),
    )
    told = ladder(trace("outbound", {"a": "caller", "b": "callee"}, *items), SIDES)
    assert rungs(told) == ["0.0 RIGHT>ENGINE INVITE", "100.0 ENGINE>LEFT INVITE"]
    assert told.names == ("carrier", "engine", "access")


def test_the_agent_is_left_of_its_victim() -> None:
    items = (
        message(1.0, "out", "b", request("INVITE", "b"), PHONE),
        message(1.1, "out", "a", request("INVITE", "a"), "127.0.20.2:5060"),
    )
    told = ladder(trace("dissuasion", {"a": "agent", "b": "callee"}, *items), SIDES)
    assert rungs(told) == ["0.0 ENGINE>RIGHT INVITE", "100.0 ENGINE>LEFT INVITE"]
    assert told.names == ("agent", "engine", "access")


def test_the_same_message_the_other_way_is_no_repetition() -> None:
    data = request("OPTIONS", "a")
    items = (
        message(1.0, "in", "a", data, CARRIER),
        message(2.0, "out", "a", data, CARRIER),
        message(3.0, "in", "a", data, CARRIER),
    )
    told = ladder(trace("inbound", {"a": "caller"}, *items), SIDES)
    assert [row.again for row in told.rows if isinstance(row, Arrow)] == [False, False, True]


def test_two_names_in_one_column_are_the_columns_own() -> None:
    items = (
        message(1.0, "out", "b", request("INVITE", "b"), PHONE),
        message(2.0, "out", "c", request("INVITE", "c"), CARRIER),
    )
    told = ladder(trace("inbound", {"b": "callee", "c": "callee"}, *items), SIDES)
    assert told.names[Column.RIGHT] == "access"
    assert told.addresses[Column.RIGHT] == (PHONE, CARRIER)


def test_nonsense_has_a_place_too() -> None:
    told = ladder(trace("inbound", {}, message(1.0, "in", "x", b"\xc3\xa9?", CARRIER)), SIDES)
    (row,) = told.rows
    assert isinstance(row, Arrow)
    assert (row.method, row.status, row.receiver) == ("", 0, Column.ENGINE)
