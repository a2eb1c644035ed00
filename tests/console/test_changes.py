"""What people change: the kill switch, the risk table, alarms."""

from datetime import timedelta

import httpx
import pytest

from engine.bus.topics import AlarmNotice
from engine.console.live import Topic
from scoring.numbers import Action, Level, Source
from tests.console.seed import RED, TENANT, World

TURN_ON = {"on": "yes", "by": " wang  li ", "reason": "false\npositives", "minutes": "15"}
ADD = {
    "number": "0170 9999 9999",
    "level": "red",
    "action": "reject",
    "by": "wang li",
    "reason": "reported_fraud",
    "evidence": "case 12",
    "days": "7",
}


async def test_the_switch_is_turned_with_name_reason_and_end(
    world: World, client: httpx.AsyncClient, own_origin: dict[str, str]
) -> None:
    with world.feed.subscribe(world.feed.cursor) as page:
        response = await client.post("/kill-switch", data=TURN_ON, headers=own_origin)
        assert (response.status_code, response.headers["location"]) == (303, "/")
        assert [notice.topic for notice in await page.next(0)] == [Topic.SWITCH]
    state = world.services.switches.state()
    assert (state.on, state.by, state.reason) == (True, "wang li", "false positives")
    assert state.expires == world.clock() + timedelta(minutes=15)
    page_text = (await client.get("/")).text
    assert "Blocking is off." in page_text and "By wang li: false positives." in page_text
    assert "Turn blocking back on?" in page_text
    off = {"on": "no", "by": "wang li", "reason": "mended"}
    assert (await client.post("/kill-switch", data=off, headers=own_origin)).status_code == 303
    assert not world.services.switches.state().on


async def test_the_switch_ends_by_itself(
    world: World, client: httpx.AsyncClient, own_origin: dict[str, str]
) -> None:
    await client.post("/kill-switch", data=TURN_ON, headers=own_origin)
    world.clock.now += timedelta(minutes=16)
    assert "Blocking is off." not in (await client.get("/")).text


@pytest.mark.parametrize(
    "change",
    [{"by": "  "}, {"reason": ""}, {"minutes": "99999"}, {"minutes": "x"}, {"on": "maybe"}, {"by": "x" * 81}],
)
async def test_an_incomplete_turn_changes_nothing(
    world: World, client: httpx.AsyncClient, own_origin: dict[str, str], change: dict[str, str]
) -> None:
    response = await client.post("/kill-switch", data=TURN_ON | change, headers=own_origin)
    assert response.status_code == 422
    assert response.headers["content-type"].startswith("text/html")
    assert not world.services.switches.state().on


async def test_a_person_adds_a_number_and_takes_it_off_again(
    world: World, client: httpx.AsyncClient, own_origin: dict[str, str]
) -> None:
    response = await client.post("/risk/add", data=ADD, headers=own_origin)
    assert response.headers["location"] == "/risk/number/+8617099999999"
    why = await world.store.risk.why(TENANT, "+8617099999999")
    (entry,) = why.entries
    assert (entry.row.level, entry.row.action, entry.row.source) == (Level.RED, Action.REJECT, Source.PERSON)
    assert (entry.confirmed_by, entry.evidence) == ("wang li", "case 12")
    assert entry.row.expires == world.clock() + timedelta(days=7)
    remove = {"number": "+8617099999999", "source": "person", "by": "zhao", "reason": "mistaken"}
    assert (await client.post("/risk/remove", data=remove, headers=own_origin)).status_code == 303
    page = (await client.get("/risk/number/+8617099999999")).text
    assert "Not on the risk table" in page and "Removed" in page and "zhao" in page
    again = await client.post("/risk/remove", data=remove, headers=own_origin)
    assert again.status_code == 409 and "not on the table" in again.text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"number": "hello"}, 422),
        ({"number": "*"}, 422),
        ({"number": "+86٣*"}, 422),
        ({"level": "purple"}, 422),
        ({"action": "challenge"}, 422),
        ({"reason": "Not a slug!"}, 422),
        ({"by": " "}, 422),
        ({"days": "12"}, 422),
        ({"number": "110"}, 409),
    ],
)
async def test_what_makes_no_sense_is_not_added(
    world: World,
    client: httpx.AsyncClient,
    own_origin: dict[str, str],
    change: dict[str, str],
    status: int,
) -> None:
    response = await client.post("/risk/add", data=ADD | change, headers=own_origin)
    assert response.status_code == status
    assert (await world.store.risk.search_numbers(TENANT)).total == 0


async def test_the_export_is_what_the_table_is_loaded_from(world: World, client: httpx.AsyncClient) -> None:
    later = world.clock() + timedelta(days=1)
    await world.risk(RED, "red", "reject", "police_list")
    await world.risk("+8617*", "yellow", "", "many_short_calls", expires=later)
    response = await client.get("/risk.csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="risk-lab-' in response.headers["content-disposition"]
    assert response.text.split("\n") == [
        "number,level,action,reason,expires",
        f"{RED},red,reject,police_list,",
        f"+8617*,yellow,,many_short_calls,{later.isoformat()}",
        "",
    ]


async def test_an_alarm_stands_until_it_is_seen(
    world: World, client: httpx.AsyncClient, own_origin: dict[str, str]
) -> None:
    world.feed.alarm(AlarmNotice(node="n", at=1.0, slug="journal_failing", detail="No space left"))
    page = (await client.get("/")).text
    assert "The journal cannot be written" in page and "No space left" in page
    await client.post("/alarms/seen", headers=own_origin)
    assert "No space left" not in (await client.get("/")).text
