"""Digest answers, checked against the examples of RFC 2069, RFC 7616 and RFC 2617."""

from __future__ import annotations

import re

import pytest

from engine.sip.digest import authorization, strongest
from engine.sip.errors import RemoteProtocolError

RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


def answer(challenge: str, **changes: object) -> dict[str, str]:
    parts: dict[str, object] = {
        "username": "Mufasa",
        "password": "Circle of Life",
        "method": "GET",
        "uri": "/dir/index.html",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "nonce_count": 1,
    } | changes
    value = authorization(challenge, **parts)  # type: ignore[arg-type]
    assert value.startswith("Digest ")
    return {name: text.strip('"') for name, text in re.findall(r'(\w+)=("[^"]*"|[^,]*)', value)}


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616_example(algorithm: str, response: str) -> None:
    found = answer(RFC_7616.format(algorithm))
    assert found == {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "uri": "/dir/index.html",
        "response": response,
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "qop": "auth",
        "nc": "00000001",
        "algorithm": algorithm,
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    }


def test_rfc_2617_example() -> None:
    challenge = (
        'Digest realm="testrealm@host.com",qop="auth,auth-int",nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    )
    found = answer(challenge, password="Circle Of Life", cnonce="0a4f113b")
    assert found["response"] == "6629fae49393a05397450978507c4ef1"
    assert "algorithm" not in found
    assert "opaque" not in found


def test_without_qop_the_answer_is_rfc_2069s() -> None:
    challenge = 'digest  REALM="testrealm@host.com", nonce=dcd98b7102dd2f0e8b11d0f600bfb0c093'
    found = answer(challenge, password="CircleOfLife")
    assert found["response"] == "1949323746fe6a43ef61f9606e7febea"
    assert "nc" not in found
    assert "cnonce" not in found


def test_session_algorithm_binds_the_secret_to_both_nonces() -> None:
    plain = answer(RFC_7616.format("SHA-256"))["response"]
    session = answer(RFC_7616.format("SHA-256-sess"))["response"]
    assert session != plain
    assert session != answer(RFC_7616.format("SHA-256-sess"), cnonce="other")["response"]


def test_nonce_count_is_eight_hex_digits() -> None:
    assert answer(RFC_7616.format("MD5"), nonce_count=0x1F)["nc"] == "0000001f"


def test_quotes_in_values_are_escaped() -> None:
    challenge = r'Digest realm="a \"b\"", nonce="n"'
    value = authorization(
        challenge, username='x"y', password="p", method="INVITE", uri="sip:a@h", cnonce="c", nonce_count=1
    )
    assert r'username="x\"y"' in value
    assert r'realm="a \"b\""' in value


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Basic realm=x",
        'Digest realm="x"',
        'Digest nonce="x"',
        'Digest realm="x", nonce="y", algorithm=MD4',
        'Digest realm="x", nonce="y", qop="auth-int"',
        'Digest realm="x, nonce="y"',
        "Digest realm",
    ],
)
def test_a_challenge_we_cannot_answer_is_the_peers_fault(challenge: str) -> None:
    with pytest.raises(RemoteProtocolError):
        answer(challenge)


def test_strongest_challenge() -> None:
    md5, sha = RFC_7616.format("MD5"), RFC_7616.format("SHA-256")
    unnamed = 'Digest realm="r", nonce="n"'
    assert strongest([md5, sha]) == strongest([sha, md5]) == sha
    assert strongest([unnamed, 'Digest realm="r", nonce="n", algorithm=NEW', "Basic x"]) == unnamed
    assert strongest(["Basic realm=x"]) is None
