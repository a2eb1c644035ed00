"""Cards of blocked callers: signed, valid for any code that could be one, and silent about why."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import httpx
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from engine.console.app import create_app
from engine.console.cards import Cards
from engine.model.config import RedressSection
from tests.console.conftest import HOST
from tests.console.seed import REDRESS, World


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verify(card: str, certificate: bytes) -> tuple[dict[str, str], dict[str, object]]:
    head, payload, signature = card.split(".")
    raw = decode(signature)
    assert len(raw) == 64
    key = x509.load_pem_x509_certificate(certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    key.verify(encode_dss_signature(r, s), f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    return json.loads(decode(head)), json.loads(decode(payload))


async def test_a_card_is_signed_and_says_whom_to_ask(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.get("/jcard/ABCD-EF23")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/jose"
    certificate = await client.get("/jcard/certificate.pem")
    header, payload = verify(answer.text, certificate.content)
    assert certificate.headers["content-type"] == "application/pem-certificate-chain"  # RFC 8555 §9.1
    assert header == {
        "alg": "ES256",
        "typ": "vcard+json",
        "x5u": "https://example.org/jcard/certificate.pem",
    }
    assert payload["iat"] == int(world.services.now().timestamp())
    assert payload["jcard"] == [
        "vcard",
        [
            ["version", {}, "text", "4.0"],
            ["fn", {}, "text", "Lab 实验室"],
            ["kind", {}, "text", "org"],
            ["tel", {"type": "voice"}, "uri", "tel:+861096110"],
            ["email", {}, "text", "appeal@example.org"],
            ["url", {}, "uri", "https://example.org/appeal?code=ABCD-EF23"],
            ["note", {}, "text", "ABCD-EF23"],
        ],
    ]


@pytest.mark.parametrize("code", ["abcd-ef23", "ABCD", "ABCD-EF23X", "0123-4567", "..%2fkeys"])
async def test_what_cannot_be_a_code_has_no_card(client: httpx.AsyncClient, code: str) -> None:
    assert (await client.get(f"/jcard/{code}")).status_code == 404


def test_another_deployment_s_signature_does_not_pass(world: World) -> None:
    card = Cards(b"another".ljust(32, b"\0"), REDRESS).card("ABCD-EF23", world.services.now())
    with pytest.raises(InvalidSignature):
        verify(card, world.services.cards.certificate())


def test_where_cards_are_reached() -> None:
    assert RedressSection().cards == ""
    assert RedressSection(url="http://127.0.0.1:8080/appeal").cards == "http://127.0.0.1:8080/jcard/"
    assert RedressSection(url="https://a/b", card_url="https://c/cards").cards == "https://c/cards/"
    assert RedressSection(tel="+861096110", card_url="https://c/cards").cards == "https://c/cards/"


def test_a_card_that_would_tell_of_nobody_is_not_offered() -> None:
    """RFC 8688 §3.2.2: at least one of URL, EMAIL, TEL and ADR."""
    section = RedressSection(card_url="https://c/cards")
    assert section.cards == ""
    assert not Cards(bytes(32), section).offered


async def test_without_an_address_there_are_no_cards(world: World) -> None:
    services = replace(world.services, cards=Cards(bytes(32), RedressSection()))
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
        assert (await client.get("/jcard/ABCD-EF23")).status_code == 404
