"""Nothing that a caller asks for beside the call stops one to an emergency number."""

from __future__ import annotations

import pytest

from tests.call.kit import ACCESS, Lab
from tests.call.peer import sdp

BOUNDARY = "multipart/mixed;boundary=b1"
LOCATED = (
    b"--b1\r\nContent-Type: application/sdp\r\n\r\n" + sdp("127.0.10.1") + b"\r\n--b1\r\n"
    b"Content-Type: application/pidf+xml\r\n\r\n<presence/>\r\n--b1--\r\n"
)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (LOCATED, [("Content-Type", BOUNDARY)]),
        (sdp("127.0.10.1"), [("Require", "100rel")]),
        (b"v=0\r\nnonsense", []),
    ],
    ids=["description and location", "an extension required", "a broken description"],
)
def test_it_goes_on_as_it_came(lab: Lab, body: bytes, headers: list[tuple[str, str]]) -> None:
    lab.verdict(protected=True)
    ask = lab.carrier.invite("110", body, headers)
    called = lab.phone.calls[0]
    request = called.invite.request
    expected = dict(headers).get("Content-Type", "application/sdp")
    assert request.get("Content-Type") == expected
    if body is LOCATED or b"nonsense" in body:
        assert request.body == body
    called.invite.reply(200, sdp(ACCESS[0], 50000))
    ask.ack()
    assert lab.stages[-1] == "connected"
    ask.side.bye()


def test_another_call_with_the_same_is_refused(lab: Lab) -> None:
    ask = lab.carrier.invite("13900000002", LOCATED, [("Content-Type", BOUNDARY)])
    assert ask.status == 415
    assert lab.phone.calls == []
    assert lab.events == []
