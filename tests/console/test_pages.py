"""Every page renders, in both languages, with what the store holds."""

import httpx
import pytest

from tests.console.seed import ALICE, RED

PAGES = (
    "/",
    "/?verdict=reject",
    "/calls/c-warn",
    "/calls/c-red",
    "/calls/c-ring",
    "/handset",
    f"/handset/{ALICE}",
    "/risk",
    "/risk?text=170&level=red&page=2",
    f"/risk/number/{RED}",
    "/recordings",
    "/recordings/r-warn",
    "/appeal?code=K7QM-2XPD",
    "/help",
)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("path", PAGES)
async def test_every_page_renders(client: httpx.AsyncClient, path: str, language: str) -> None:
    client.cookies.set("language", language)
    response = await client.get(path)
    assert response.status_code == 200
    assert f'<html lang="{language}"' in response.text
