"""Every page renders, in both languages, with what the store holds."""

import re
from datetime import UTC, datetime

import httpx
import pytest

from engine.model.events import CallStarted, DissuasionEnded
from engine.model.ids import CallId, CaseId
from tests.console.seed import ALICE, RED, World

PAGES = (
    "/",
    "/?verdict=reject",
    "/?text=no-such-call",
    "/calls/c-warn",
    "/calls/c-red",
    "/calls/c-ring",
    "/handset",
    f"/handset/{ALICE}",
    "/risk",
    "/risk?text=170&level=red&page=2",
    f"/risk/number/{RED}",
    "/risk/number/+8613600000000",
    "/recordings",
    "/recordings/r-warn",
    "/appeal?code=K7QM-2XPD",
    "/help",
)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("path", PAGES)
async def test_every_page_renders(full: httpx.AsyncClient, path: str, language: str) -> None:
    response = await full.get(path, headers={"accept-language": language})
    assert response.status_code == 200
    assert f'<html lang="{language}"' in response.text
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.asyncio(loop_scope="session")
async def test_the_live_list_says_what_happened_in_words(full: httpx.AsyncClient) -> None:
    page = (await full.get("/", headers={"accept-language": "en"})).text
    row = re.search(r'<tr data-call="c-red".*?</tr>', page, re.DOTALL)
    assert row is not None
    for text in ("Blocked", "+86 170 0000 0001", "+86 138 0013 8000", "Red", "On the police list"):
        assert text in row[0]
    assert "Blocked before ringing" in row[0]
    assert 'data-verdict="allow"' in page and "Protected" in page


@pytest.mark.asyncio(loop_scope="session")
async def test_the_list_is_narrowed_by_verdict_and_number(full: httpx.AsyncClient) -> None:
    def calls(response: httpx.Response) -> set[str]:
        return {call["id"] for call in response.json()["calls"]}

    assert calls(await full.get("/calls.json?verdict=reject")) == {"c-red"}
    assert calls(await full.get("/calls.json?text=3611112222")) == {"c-clean", "c-talk"}
    assert calls(await full.get("/calls.json?verdict=warn&text=139 0013")) == {"c-dial", "c-refused"}
    assert (await full.get("/calls.json?verdict=everything")).status_code == 422


@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_of_a_call_explains_its_verdict(full: httpx.AsyncClient) -> None:
    page = (await full.get("/calls/c-warn", headers={"accept-language": "en"})).text
    for text in (
        "named-by-table",
        "Reported by subscribers",
        "5f2c91ab30de",
        "/risk/number/%2B8617000000003",
        "/recordings/r-warn",
        "You will hear a warning first",
        "Recording notice",
        "Hung up (by the callee), SIP 200",
    ):
        assert text in page
    emergency = (await full.get("/calls/c-110", headers={"accept-language": "en"})).text
    assert "Emergency and police numbers always pass" in emergency


async def test_an_advice_call_shows_its_outcome_and_no_verdict(
    world: World, client: httpx.AsyncClient
) -> None:
    call_id = await world.call(
        "c-advice", "96110", ALICE, "", direction="dissuasion", stages=("connected",), outcome="hung_up"
    )
    ended = DissuasionEnded(
        call_id=call_id,
        case_id=CaseId("case-1"),
        outcome="dissuaded",
        script="general",
        called=world.party(ALICE),
    )
    await world.tell(world.clock(), ended)
    page = (await client.get("/calls/c-advice", headers={"accept-language": "en"})).text
    assert "Call placed" in page and "Dissuaded" in page
    assert "<dt>Verdict</dt>" not in page
    assert "Advice call" in (await client.get("/", headers={"accept-language": "en"})).text


@pytest.mark.asyncio(loop_scope="session")
async def test_why_a_number_is_on_the_table(full: httpx.AsyncClient) -> None:
    page = (await full.get("/risk/number/+8617012000055", headers={"accept-language": "en"})).text
    assert "by the prefix +8617012*" in page and "Operator" in page
    spelt = (await full.get("/risk/number/008617000000001", headers={"accept-language": "en"})).text
    assert "Notice 2026-118" in spelt and "Police" in spelt and "never" in spelt


@pytest.mark.asyncio(loop_scope="session")
async def test_the_language_is_the_viewers_choice_then_the_browsers(full: httpx.AsyncClient) -> None:
    async def language(cookie: str, accept: str) -> str:
        cookies = {"cookie": f"language={cookie}"} if cookie else {}
        page = (await full.get("/help", headers={"accept-language": accept, **cookies})).text
        found = re.search(r'<html lang="([^"]+)"', page)
        assert found is not None
        return found[1]

    assert await language("", "fr, zh-TW;q=0.8, en;q=0.5") == "zh-CN"
    assert await language("", "en-GB, zh;q=0.9") == "en"
    assert await language("", "zh;q=0, fr") == "en"
    assert await language("", "de;q=x,,;") == "en"
    assert await language("zh-CN", "en") == "zh-CN"
    assert await language("<script>", "en") == "en"


@pytest.mark.asyncio(loop_scope="session")
async def test_times_are_in_the_viewers_zone(full: httpx.AsyncClient) -> None:
    def zone(name: str) -> dict[str, str]:
        return {"cookie": f"zone={name}"}

    def first_time(page: str) -> tuple[str, str]:
        found = re.search(r'<time datetime="([^"]+)" data-style="datetime">([^<]+)<', page)
        assert found is not None
        return found[1], found[2]

    instant, shown = first_time((await full.get("/calls/c-red", headers=zone("Asia/Shanghai"))).text)
    at = datetime.fromisoformat(instant)
    assert (datetime.fromisoformat(shown + "+08:00") - at).total_seconds() == pytest.approx(0, abs=1)
    for unknown in ("../../etc/passwd", "Mars/Base", "", "a" * 5000):
        instant, shown = first_time((await full.get("/calls/c-red", headers=zone(unknown))).text)
        assert instant.startswith(shown.replace(" ", "T"))


@pytest.mark.asyncio(loop_scope="session")
async def test_what_is_not_there_is_a_page_that_says_so(full: httpx.AsyncClient) -> None:
    for path, status, text in (
        ("/calls/nope", 404, "This call is not stored"),
        ("/recordings/nope", 404, "This recording is not stored"),
        ("/nowhere", 404, "There is no such page"),
        ("/risk?page=0", 422, "This request cannot be read"),
        ("/risk/number/hello", 422, "This is not a number"),
        ("/handset?number=hello", 422, "This is not a number"),
        ("/handset/<b>", 422, "This is not a number"),
        ("/recordings?before=yesterday", 422, "This request cannot be read"),
    ):
        response = await full.get(path, headers={"accept-language": "en"})
        assert (response.status_code, text in response.text) == (status, True), path
        assert response.headers["content-type"].startswith("text/html")


@pytest.mark.asyncio(loop_scope="session")
async def test_the_appeal_page_shows_a_code_and_nothing_of_the_decision(full: httpx.AsyncClient) -> None:
    page = (await full.get("/appeal?code=K7QM-2XPD", headers={"accept-language": "en"})).text
    assert "K7QM-2XPD" in page
    assert 'href="/risk"' not in page and "policy" not in page.lower()
    odd = (await full.get("/appeal", params={"code": "<b>x</b>"})).text
    assert "<b>x" not in odd and "&lt;b&gt;" not in odd


async def test_older_calls_are_a_page_further(world: World, client: httpx.AsyncClient) -> None:
    for n in range(103):
        await world.call(f"c-{n:03}", RED, ALICE, "reject" if n % 2 else "allow", ago_s=n)
    first = (await client.get("/")).text
    older = re.search(r'id="older" rel="next" href="([^"]+)">', first)
    assert older is not None and older[1] == "/?before=c-099"
    assert len(re.findall(r"<tr data-call=\"c-", first)) == 100
    second = (await client.get(older[1])).text
    assert re.findall(r"<tr data-call=\"(c-\d+)", second) == ["c-100", "c-101", "c-102"]
    assert re.search(r'id="older"[^>]* hidden', second)
    blocked = (await client.get("/calls.json?verdict=reject")).json()
    assert (len(blocked["calls"]), blocked["more"]) == (51, False)


async def test_empty_pages_say_what_to_do(client: httpx.AsyncClient) -> None:
    for path, text in (
        ("/", "make run"),
        ("/risk", "ringward table load FILE"),
        ("/recordings", "No recordings yet"),
        ("/handset", "No messages yet"),
        ("/handset/13800138000", "No message yet"),
    ):
        assert text in (await client.get(path, headers={"accept-language": "en"})).text


async def test_text_from_the_wire_stays_text(world: World, client: httpx.AsyncClient) -> None:
    await world.call("c-1", "<script>alert(1)</script>", ALICE, "allow", reason='"><img src=x onerror=y>')
    await world.tell(
        datetime.now(UTC),
        CallStarted(
            call_id=CallId("c-2"),
            direction="<b>",
            trunk="</dd><script>",
            calling=world.party("'onmouseover='x"),
            called=world.party(ALICE),
        ),
    )
    for path in ("/", "/calls/c-1", "/calls/c-2"):
        page = (await client.get(path)).text
        assert "<script>alert" not in page and "<img" not in page and "</dd><script>" not in page
        assert "'onmouseover" not in page
