"""Who is answered, from where changes are taken, and what every response carries."""

import re

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from engine.console.security import local_path
from tests.console.conftest import HOST
from tests.console.seed import ALICE, World
from tests.console.test_pages import PAGES

CHANGES = {
    "/kill-switch": {"on": "yes", "by": "wang", "reason": "too many", "minutes": "60"},
    "/risk/add": {"number": "+8617099999999", "level": "red", "by": "wang", "reason": "police_list"},
    "/risk/remove": {"number": ALICE, "source": "person", "by": "wang", "reason": "wrong"},
    "/alarms/seen": {},
    "/preferences": {"language": "en"},
}


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8080", "127.0.20.1:80", "[::1]:8080", "LOCALHOST:1"]
)
async def test_loopback_names_are_answered(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/help", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil", "127.0.0.1@evil", ""],
)
async def test_a_rebound_name_gets_nothing(client: httpx.AsyncClient, host: str) -> None:
    for path in ("/", "/calls.json", "/events?topics=call", "/static/ringward.svg"):
        response = await client.get(path, headers={"host": host})
        assert response.status_code == 421
        assert "+86" not in response.text


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:8081",
        "http://localhost:8080",
    ],
)
async def test_changes_from_elsewhere_are_refused(
    world: World, client: httpx.AsyncClient, origin: str | None
) -> None:
    for path, form in CHANGES.items():
        response = await client.post(path, data=form, headers={"origin": origin} if origin else {})
        assert response.status_code == 403
        assert "did not come from the console" in response.text
    assert not world.services.switches.state().on
    assert (await world.store.risk.search_numbers(world.services.tenant)).total == 0


def test_every_change_is_tried_above(client: httpx.AsyncClient) -> None:
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    app = transport.app
    assert isinstance(app, FastAPI)
    changing = {path for path, methods in app.openapi()["paths"].items() if set(methods) - {"get"}}
    assert changing == set(CHANGES)


async def test_every_response_is_guarded(client: httpx.AsyncClient) -> None:
    for path in (
        "/",
        "/nowhere",
        "/static/ringward.svg",
        "/calls.json",
        "/risk.csv",
        "/recordings/x/audio.wav",
    ):
        headers = (await client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.asyncio(loop_scope="session")
async def test_pages_work_under_their_own_policy(full: httpx.AsyncClient) -> None:
    for path in PAGES:
        page = (await full.get(path)).text
        scripts = re.findall(r"<script([^>]*)>", page)
        assert all("src=" in script or "application/json" in script for script in scripts)
        assert re.search(r"<[^>]+\s(?:on\w+|style)\s*=", page) is None
        assert re.search(r'\s(?:src|href|action)="(?!/[^/]|[#?]|/"|")', page) is None


async def test_preferences_go_back_to_this_console_only(
    client: httpx.AsyncClient, own_origin: dict[str, str]
) -> None:
    form = {"language": "zh-CN", "theme": "dark", "back": "/risk?text=170"}
    response = await client.post("/preferences", data=form, headers=own_origin)
    assert (response.status_code, response.headers["location"]) == (303, "/risk?text=170")
    page = await client.get("/risk")
    assert '<html lang="zh-CN" data-theme="dark">' in page.text
    odd = {"language": "xx", "theme": "x", "back": "//evil.example"}
    response = await client.post("/preferences", data=odd, headers=own_origin)
    assert response.headers["location"] == "/"
    assert "set-cookie" not in response.headers


@given(st.text(max_size=30).map(lambda text: "/" + text))
def test_a_local_path_never_leads_elsewhere(target: str) -> None:
    path = local_path(target)
    assert path.startswith("/")
    joined = httpx.URL(HOST).join(path) if path.isascii() else httpx.URL(HOST)
    assert joined.host == "127.0.0.1"
    assert not re.match(r"/[/\\]", path) and "\\" not in path and "\n" not in path


def test_known_tricks_are_not_local() -> None:
    for target in ("//evil", "/\\evil", "http://evil", "evil", "", "/a\r\nb", "/\t/evil", "javascript:x"):
        assert local_path(target) == "/"
    assert local_path("/calls/c-1?x=1#y") == "/calls/c-1?x=1#y"
