"""What an answer costs tells nobody whether a user exists: the same work is done for either."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from types import FrameType

import pytest

from engine.sip.message import Request, Response
from engine.sip.parse import parse
from tests.edge.kit import Lab, Phone


def work(phone: Phone, request: Request) -> tuple[Response, Counter[str]]:
    """The answer, and how often each function was called on the way to it."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            calls[f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}"] += 1
        elif event == "c_call" and frame.f_code is not parse.__code__:  # it tries first what came often
            calls[getattr(argument, "__qualname__", "?")] += 1

    gc.disable()  # what is called when it runs is no work of the answer's
    sys.setprofile(count)
    try:
        answer = phone.ask(request)
    finally:
        sys.setprofile(None)
        gc.enable()
    return answer, calls


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_a_guess_costs_the_same_for_a_user_that_exists_and_for_one_that_does_not(method: str) -> None:
    found = []
    for user in ("alice", "bobby") * 2:  # the first round fills what remembers whole header values
        phone = Lab().phone("guesser", "192.0.2.66")
        request = phone.make(method, user)
        asked = phone.ask(request)
        guess = phone.with_credentials(request, asked, user=user, password="wrong")
        answer, calls = work(phone, guess)
        assert answer.status in (401, 407)
        found.append(calls)
    exists, does_not = found[2:]
    assert sum(exists.values()) > 100
    assert exists == does_not
