"""Two user agents of ours on real sockets: calls, speech, keys, messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from engine.call.leg_events import LegAcknowledged, LegAnswered, LegEnded, LegEvent, LegHungUp, LegRefused
from engine.call.legs import IncomingLeg, Leg
from engine.model.address import Address
from engine.rtp.g711 import Samples
from engine.runtime.rtp_stream import RtpStream
from engine.runtime.user_agent import UserAgent
from engine.sdp import audio_target, build_answer, parse
from engine.sip.message import Request, Response
from engine.sip.parse import parse as parse_message
from tests.runtime.net import PATIENCE_S, PCMA, Caller, Socket, host, tone

pytestmark = pytest.mark.wire

When = Callable[[], bool]


class Phone:
    """Answers every call, and keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[Samples] = []
        self.keys: list[str] = []
        self.events: list[LegEvent] = []
        self.messages: list[Request] = []
        self.busy = False
        self.changed = asyncio.Event()
        address = host()
        self.rtp = RtpStream(address, on_audio=self._audio, on_key=self._key)
        self.user_agent = UserAgent(Address(address, 0), self._called, self._message)

    def _called(self, leg: IncomingLeg) -> Callable[[Leg, LegEvent], None] | None:
        if self.busy:
            return None
        offer = parse(leg.request.body)
        target = audio_target(offer)
        assert target is not None
        mine = self.rtp.address
        body = build_answer(offer, mine.host, mine.port, PCMA, leg.next_origin(), telephone_event=101)
        self.rtp.start(target.host, target.port, PCMA, target.telephone_event)
        asyncio.get_running_loop().call_soon(lambda: self.user_agent.act(lambda: leg.answer(body)))
        return self._event

    def _event(self, leg: Leg, event: LegEvent) -> None:
        self.events.append(event)
        self.changed.set()

    def _audio(self, samples: Samples) -> None:
        self.heard.append(samples)
        self.changed.set()

    def _key(self, digit: str) -> None:
        self.keys.append(digit)
        self.changed.set()

    def _message(self, request: Request) -> None:
        self.messages.append(request)

    async def until(self, holds: When) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    def close(self) -> None:
        self.rtp.close()
        self.user_agent.close()


@pytest.fixture
async def phone() -> AsyncIterator[Phone]:
    phone = Phone()
    yield phone
    phone.close()


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    caller = Caller()
    yield caller
    caller.close()


def loud(samples: Samples) -> bool:
    return int(np.abs(samples.astype(np.int32)).max()) > 4000


async def test_a_call_with_speech_and_keys(caller: Caller, phone: Phone) -> None:
    caller.call(phone.user_agent.address, [])
    await caller.told(LegAnswered)
    await phone.until(lambda: any(isinstance(event, LegAcknowledged) for event in phone.events))
    said = asyncio.Event()
    caller.rtp.say(tone(0.2), said.set)
    await asyncio.wait_for(said.wait(), PATIENCE_S)
    await phone.until(lambda: sum(map(loud, phone.heard)) >= 9)
    caller.rtp.press("5")
    caller.rtp.press("#")
    await phone.until(lambda: phone.keys == ["5", "#"])
    caller.hang_up()
    await caller.told(LegEnded)
    assert isinstance(phone.events[-1], LegHungUp)


async def test_what_is_dropped_is_not_said_and_not_called_done(caller: Caller, phone: Phone) -> None:
    caller.call(phone.user_agent.address, [])
    await caller.told(LegAnswered)
    said: list[str] = []
    caller.rtp.say(tone(30), lambda: said.append("long"))
    caller.rtp.be_quiet()
    caller.rtp.say(tone(0.04), lambda: said.append("short"))
    await phone.until(lambda: said == ["short"])
    caller.hang_up()
    await caller.told(LegEnded)


async def test_without_a_key_negotiated_there_is_none(caller: Caller, phone: Phone) -> None:
    caller.rtp.press("1")
    caller.call(phone.user_agent.address, [])
    await caller.told(LegAnswered)
    await phone.until(lambda: len(phone.heard) > 10)
    assert phone.keys == []
    caller.hang_up()
    await caller.told(LegEnded)


async def test_a_busy_phone(caller: Caller, phone: Phone) -> None:
    phone.busy = True
    caller.call(phone.user_agent.address, [])
    assert (await caller.told(LegRefused)).status == 486


async def test_an_address_that_cannot_be_sent_to(caller: Caller) -> None:
    """Broadcast, without leave to."""
    caller.call(Address("255.255.255.255", 5060), [])
    assert (await caller.told(LegRefused)).no_response == "transport"


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("MESSAGE", 200), ("REGISTER", 405)])
async def test_requests_without_a_call(phone: Phone, method: str, status: int) -> None:
    peer = Socket(host())
    address, target = peer.address, phone.user_agent.address
    request = (
        f"{method} sip:phone@{target} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {address[0]}:{address[1]};branch=z9hG4bK1\r\n"
        f"From: <sip:x@{address[0]}>;tag=1\r\nTo: <sip:phone@{target.host}>\r\n"
        f"Call-ID: 1\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 2\r\n\r\nhi"
    )
    peer.send(b"\0\xff garbage", (target.host, target.port))
    peer.send(request.encode(), (target.host, target.port))
    answer = parse_message(await peer.receive())
    assert isinstance(answer, Response) and answer.status == status
    assert [message.body for message in phone.messages] == ([b"hi"] if method == "MESSAGE" else [])
    peer.close()


async def test_an_address_in_use_is_an_error(phone: Phone) -> None:
    with pytest.raises(OSError):
        UserAgent(phone.user_agent.address, lambda leg: None)
