"""One lab phone: rings, answers, listens, speaks, presses keys, and tells everything it notices."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from engine.call.leg_events import (
    LegAcknowledged,
    LegAnswered,
    LegCancelled,
    LegEnded,
    LegEvent,
    LegHungUp,
    LegOffered,
    LegRefused,
    LegRinging,
)
from engine.call.legs import IncomingLeg, Leg, Listener, OutgoingLeg
from engine.model.address import Address
from engine.model.media import Codec
from engine.rtp.g711 import FRAME_MS, Samples
from engine.runtime.prompts import read_samples
from engine.runtime.rtp_stream import RtpStream
from engine.runtime.user_agent import UserAgent
from engine.sdp import audio_target, build_answer, build_offer, choose_codec, parse
from engine.sip.message import Request
from engine.sip.uri import NameAddr, Uri
from lab.phones.hearing import Hearing
from lab.phones.messages import Call, Expect, Observation

CODECS = (Codec("PCMA", 8), Codec("PCMU", 0))
TELEPHONE_EVENT = 101
REACTION_S = 0.5
"""Before it speaks: whoever else heard the same pause has taken it for one by then."""
SHOWN_HEADERS = ("From", "P-Asserted-Identity", "Call-Info", "Subject", "Supported", "Allow", "User-Agent")


class LabPhone:
    """A phone at one address, one call at a time. `tell` gets each observation."""

    def __init__(self, name: str, listen: Address, lines: Path, tell: Callable[[Observation], None]) -> None:
        """`lines` holds LINE.flac for what it can say. Raises OSError where `listen` cannot be bound."""
        self._name = name
        self._lines = lines
        self._tell = tell
        self._expected: deque[Expect] = deque()
        self._call: _PhoneCall | None = None
        self.user_agent = UserAgent(listen, self._incoming, self._message)
        self.note("ready", str(self.user_agent.address))

    def note(
        self,
        what: str,
        detail: str = "",
        *,
        headers: dict[str, str] | None = None,
        status: int = 0,
        media_from: str = "",
    ) -> None:
        call = self._call
        self._tell(
            Observation(
                at=time.monotonic(),
                phone=self._name,
                what=what,
                detail=detail,
                headers=headers or {},
                status=status,
                heard_s=round(call.hearing.heard_s, 2) if call is not None else 0.0,
                packets=call.rtp.packets_heard if call is not None else 0,
                media_from=media_from,
            )
        )

    # --- orders ---

    def expect(self, order: Expect) -> None:
        self._expected.append(order)
        self.note("expecting")

    def call(self, order: Call) -> None:
        if self._call is not None:
            raise ValueError("the phone is in a call")
        call = self._call = _PhoneCall(self, order.steps)
        call.give_up_early = order.hang_up_on_early_media
        host = self.user_agent.address.host
        from_ = NameAddr(order.display or None, Uri("sip", order.from_number, host))

        def offer(leg: OutgoingLeg) -> bytes:
            return build_offer(
                call.rtp.address.host,
                call.rtp.address.port,
                CODECS,
                leg.next_origin(),
                telephone_event=TELEPHONE_EVENT,
            )

        def place() -> None:
            to = Address.parse(order.to)
            call.leg = self.user_agent.core.call(to, order.number, from_, offer, call.heard)

        self.note("calling", order.number)
        self.user_agent.act(place)

    def hang_up(self) -> None:
        """End the call, and forget how further ones were to be taken."""
        self._expected.clear()
        call = self._call
        if call is not None:
            self.user_agent.act(call.hang_up)

    def close(self) -> None:
        if self._call is not None:
            self._call.close()
        self.user_agent.close()

    def over(self) -> None:
        self._call = None

    # --- from the network ---

    def _message(self, request: Request) -> None:
        self.note("message", request.body.decode("utf-8", "replace"))

    def _incoming(self, leg: IncomingLeg) -> Listener | None:
        shown = {name: request for name in SHOWN_HEADERS if (request := leg.request.get(name)) is not None}
        target = audio_target(parse(leg.request.body)) if leg.request.body else None
        media_from = target.host if target is not None else ""
        if self._call is not None or not self._expected:
            self.note("incoming", "refused: nobody expected it", headers=shown, media_from=media_from)
            return None
        order = self._expected.popleft()
        call = self._call = _PhoneCall(self, order.steps)
        call.leg = leg
        self.note("incoming", headers=shown, media_from=media_from)
        loop = asyncio.get_running_loop()
        if order.refuse:
            loop.call_soon(lambda: self.user_agent.act(lambda: call.refuse(order.refuse)))
        else:
            loop.call_soon(lambda: self.user_agent.act(lambda: leg.progress(180)))
            loop.call_later(order.answer_after_s, lambda: self.user_agent.act(call.answer))
        return call.heard

    def line(self, name: str) -> Samples:
        return read_samples(self._lines / f"{name}.flac")


class _PhoneCall:
    """One call of a phone: its leg, its sound and the steps still to take."""

    def __init__(self, phone: LabPhone, steps: tuple[str, ...]) -> None:
        self._phone = phone
        self._steps = deque(steps)
        self._loop = asyncio.get_running_loop()
        self.leg: Leg | None = None
        self.give_up_early = False
        self._connected = False
        self.hearing = Hearing(self._paused)
        self.rtp = RtpStream(
            phone.user_agent.address.host,
            on_audio=self.hearing.listen,
            on_key=lambda digit: phone.note("key", digit),
        )
        self._packets = 0
        self._watch = self._loop.call_later(FRAME_MS / 1000, self._look)

    def heard(self, leg: Leg, event: LegEvent) -> None:
        match event:
            case LegRinging(body):
                self._phone.note("provisional", "early media" if body else "ringback")
                if body:
                    self._media(body)
            case LegAnswered(body):
                self._media(body)
                leg.acknowledge()
                self._begin(body)
            case LegAcknowledged():
                if not self._connected:
                    assert isinstance(leg, IncomingLeg)
                    self._begin(leg.heard_body)
            case LegOffered(body):
                self._phone.note("offered")
                leg.accept_offer(self._answer_to(leg, body))
                self._media(body)
            case LegRefused(status, reason, call_info):
                self._phone.note("refused", f"{reason} {call_info}".rstrip(), status=status)
                self.close()
            case LegHungUp() | LegCancelled() | LegEnded():
                self._phone.note("ended", type(event).__name__)
                self.close()
            case _:
                pass

    def answer(self) -> None:
        leg = self.leg
        if isinstance(leg, IncomingLeg) and not leg.ended:
            body = self._answer_to(leg, leg.request.body)
            self._media(leg.request.body)
            leg.answer(body)
            self._phone.note("picked_up")

    def refuse(self, status: int) -> None:
        if isinstance(self.leg, IncomingLeg):
            self.leg.refuse(status)
            self._phone.note("ended", f"refused with {status}")
            self.close()

    def hang_up(self) -> None:
        leg = self.leg
        if leg is None or leg.ended:
            return
        if leg.answered:
            leg.hang_up()
        elif isinstance(leg, OutgoingLeg):
            leg.cancel()

    # --- turns ---

    def _begin(self, body: bytes) -> None:
        self._connected = True
        target = audio_target(parse(body))
        self._phone.note("answered", media_from=target.host if target is not None else "")
        if self._steps and self._steps[0].startswith("now:"):
            self._take(self._steps.popleft().removeprefix("now:"))

    def _paused(self) -> None:
        self._phone.note("pause")
        if not self._connected:
            if self.give_up_early:
                self._phone.user_agent.act(self.hang_up)
        elif self._steps:
            self._take(self._steps.popleft())

    def _take(self, step: str) -> None:
        verb, _, argument = step.partition(":")
        if verb == "say":
            self._loop.call_later(REACTION_S, self._say, argument)
        elif verb == "press":
            self.rtp.press(argument)
            self._phone.note("pressed", argument)
        elif verb == "hang_up":
            self._phone.user_agent.act(self.hang_up)

    def _say(self, line: str) -> None:
        if self.leg is not None and not self.leg.ended:
            self.rtp.say(self._phone.line(line), lambda: self._phone.note("said", line))

    def _look(self) -> None:
        """Silence of the network counts as silence of the other side."""
        if self.rtp.packets_heard == self._packets:
            self.hearing.quiet()
        self._packets = self.rtp.packets_heard
        self._watch = self._loop.call_later(FRAME_MS / 1000, self._look)

    # --- media ---

    def _answer_to(self, leg: Leg, body: bytes) -> bytes:
        offer = parse(body)
        target = audio_target(offer)
        codec = choose_codec(target) if target is not None else None
        if target is None or codec is None:
            raise ValueError("the lab's phones speak G.711 only")
        address = self.rtp.address
        return build_answer(
            offer,
            address.host,
            address.port,
            codec,
            leg.next_origin(),
            telephone_event=target.telephone_event,
        )

    def _media(self, body: bytes) -> None:
        target = audio_target(parse(body))
        codec = choose_codec(target) if target is not None else None
        if target is not None and codec is not None:
            self.rtp.start(target.host, target.port, codec, target.telephone_event)

    def close(self) -> None:
        self._watch.cancel()
        self.rtp.close()
        self._phone.over()
