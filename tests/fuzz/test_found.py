"""What fuzzing found, each by name, so that it stays mended."""

from __future__ import annotations

import pytest

from engine.sip.errors import RemoteProtocolError
from engine.sip.replaces import Replaces
from tests.call.test_transfer import TARGET, done, refer, transferring


@pytest.mark.parametrize(
    "text",
    [
        "\r\ncall;to-tag=b;from-tag=a",
        "a b;to-tag=b;from-tag=a",
        "a\0;to-tag=b;from-tag=a",
        'a;to-tag="b\r\nX: y";from-tag=a',
        'a;to-tag=b;from-tag="a;b"',
    ],
)
def test_replaces_holds_nothing_that_could_leave_its_header(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Replaces.parse(text)


@pytest.mark.parametrize("callid", ["x%0d%0aVia:%20y", "x%00y", "x%20y", "%0d%0a"])
def test_a_transfer_whose_replaces_holds_control_characters(callid: str) -> None:
    """It would have been raised as our own fault when the INVITE to the target was written."""
    lab = transferring()
    _, called = lab.connect()
    asked = refer(called, f"<sip:{TARGET}@example.org?Replaces={callid}%3Bto-tag%3Db%3Bfrom-tag%3Da>")
    assert asked.status == 400
    assert lab.stages[-1] == "connected"
    done(lab)
