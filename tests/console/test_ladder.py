"""The SIP ladder on a call's page."""

from __future__ import annotations

import re

import httpx

from tests.console.scenes import fill
from tests.console.seed import ALICE, WARNED, World
from tests.console.traces import keep_warned_call

ENGLISH, CHINESE = {"accept-language": "en"}, {"accept-language": "zh"}


def words(html: str) -> str:
    """What a reader sees, on one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()


def rows(page: str) -> list[str]:
    ladder = page[page.index('class="ladder body"') :]
    items = re.findall(r'<li class="rung[^"]*"(.*?)</li>', ladder, re.DOTALL)
    return [
        words(re.sub(r'<div class="rung-text">.*?</div>', "", "<li" + item, flags=re.DOTALL))
        for item in items
    ]


async def page(client: httpx.AsyncClient, headers: dict[str, str], call_id: str = "c-warn") -> str:
    answer = await client.get(f"/calls/{call_id}", headers=headers)
    assert answer.status_code == 200
    return answer.text


async def test_the_ladder_tells_both_legs_and_the_verdict(world: World, client: httpx.AsyncClient) -> None:
    await fill(world)
    keep_warned_call(world)
    html = await page(client, ENGLISH)
    assert rows(html) == [
        "+0.0 ms Carrier to Engine: INVITE SDP",
        "+0.5 ms Warned Reported by subscribers",
        "+0.8 ms Engine to Carrier: 100 Trying",
        "+1.2 ms Engine to Subscriber: MESSAGE text/plain",
        "+12.1 ms Subscriber to Engine: 200 OK · MESSAGE",
        "+12.5 ms Routed",
        "+13.0 ms Engine to Subscriber: INVITE SDP",
        "+513.0 ms Engine to Subscriber: INVITE SDP repeated",
        "+640.0 ms Subscriber to Engine: 180 Ringing",
        "+640.1 ms Ringing",
        "+641.0 ms Engine to Carrier: 180 Ringing",
        "+3.20 s Subscriber to Engine: 200 OK SDP",
        "+3.20 s Engine to Subscriber: ACK",
        "+3.20 s Warning plays",
        "+9.80 s Warning accepted",
        "+9.80 s Connected",
        "+9.80 s Engine to Carrier: 200 OK SDP",
        "+9.81 s Carrier to Engine: ACK",
        "+28.00 s Alarm The media worker failed: calls that need sound cannot be served.",
        "+28.10 s Carrier to Engine: BYE",
        "+28.10 s Engine to Carrier: 200 OK · BYE",
        "+28.10 s Ended Hung up · SIP 200",
        "+28.10 s Engine to Subscriber: BYE",
        "+28.12 s Subscriber to Engine: 200 OK · BYE",
    ]


async def test_it_speaks_chinese(world: World, client: httpx.AsyncClient) -> None:
    await fill(world)
    keep_warned_call(world)
    told = rows(await page(client, CHINESE))
    assert told[0] == "+0.0 ms 运营商 至 引擎: INVITE SDP"
    assert told[7].endswith("引擎 至 用户: INVITE SDP 重发")


async def test_a_message_opens_to_its_text_without_secrets(world: World, client: httpx.AsyncClient) -> None:
    await fill(world)
    keep_warned_call(world)
    html = await page(client, ENGLISH)
    texts = re.findall(r'<pre tabindex="0">(.*?)</pre>', html, re.DOTALL)
    assert len(texts) == 16
    assert texts[0].startswith(f"INVITE sip:{ALICE}@127.0.20.1 SIP/2.0\nVia: SIP/2.0/UDP")
    assert f"From: &lt;sip:{WARNED}@carrier.example&gt;;tag=a" in texts[0]
    assert texts[0].endswith("a=rtpmap:101 telephone-event/8000")
    assert "Proxy-Authorization: (withheld)" in html
    assert "hunter2" not in html and "不要转账" not in html


async def test_kept_headers_show_no_bodies(world: World, client: httpx.AsyncClient) -> None:
    await fill(world)
    keep_warned_call(world, "headers")
    html = await page(client, ENGLISH)
    assert "v=0" not in html and "bytes withheld" in html
    assert rows(html)[0] == "+0.0 ms Carrier to Engine: INVITE SDP"


async def test_what_is_missing_is_said(world: World, client: httpx.AsyncClient) -> None:
    await fill(world)
    keep_warned_call(world, more=190)
    assert "6 messages are missing: there was no room for them." in await page(client, ENGLISH)


async def test_without_a_trace_the_page_says_how_to_get_one(full: httpx.AsyncClient) -> None:
    html = await page(full, ENGLISH, "c-red")
    assert "The messages of this call were not kept." in html
    assert "ringward calls trace-on --by NAME" in html


async def test_markup_in_a_message_is_text(world: World, client: httpx.AsyncClient) -> None:
    await world.call("c-evil", WARNED, ALICE, "allow")
    keep_warned_call(world, call_id="c-evil")
    (path,) = world.services.config.traces_folder.glob("*")
    path.write_bytes(path.read_bytes().replace(b"180 Ringing", b"180 <b>'\\\"</b>"))
    html = await page(client, ENGLISH, "c-evil")
    assert "180 &lt;b&gt;" in html
    assert "180 <b>" not in html
