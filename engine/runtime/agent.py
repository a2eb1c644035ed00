"""The dissuasion agent: a SIP user agent that talks by script and hears keys.

The engine calls the victim and, on answer, this agent, naming script and language in the INVITE. The agent
tells the engine on its own leg when the first sentence (which says that the call is recorded) has been heard
in full, and with what outcome the dialogue ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.call.leg_events import (
    LegAckMissing,
    LegAcknowledged,
    LegCancelled,
    LegEnded,
    LegEvent,
    LegHungUp,
    LegOffered,
)
from engine.call.legs import AGENT_HEADER, IncomingLeg, Leg, Listener
from engine.dissuasion.dialogue import (
    Digit,
    Effect,
    End,
    HungUp,
    Input,
    Listen,
    PlayPrompt,
    PromptFinished,
    Silence,
    Started,
    begin,
    step,
)
from engine.dissuasion.script import Script
from engine.model.address import Address
from engine.model.media import Codec
from engine.runtime.prompts import read_samples
from engine.runtime.rtp_stream import RtpStream
from engine.runtime.user_agent import UserAgent
from engine.sdp import AudioTarget, SdpError, audio_target, build_answer, choose_codec, parse

NOTICE_GIVEN = "notice-given"
_log = logging.getLogger(__name__)


class DissuasionAgent:
    """Answers every call of the engine at `listen` and holds the dialogue of the named script."""

    def __init__(
        self,
        listen: Address,
        scripts: Mapping[str, Script],
        prompt: Callable[[str, str], Path],
        engines: frozenset[str],
    ) -> None:
        """`prompt(slug, language)` names a file; only calls from the hosts in `engines` are taken."""
        self._scripts = scripts
        self._prompt = prompt
        self._engines = engines
        self._dialogues: set[_Conversation] = set()
        self.user_agent = UserAgent(listen, self._called)

    def _called(self, leg: IncomingLeg) -> Listener | None:
        if leg.flow.remote[0] not in self._engines:
            _log.warning("a call from %s was refused: it is not an engine", leg.flow.remote[0])
            return None
        script = self._scripts.get(leg.request.get("Ringward-Script") or "")
        if script is None:
            _log.error("there is no script %r", leg.request.get("Ringward-Script"))
            return None
        language = leg.request.get("Ringward-Language") or "zh-CN"
        try:
            conversation = _Conversation(self, leg, script, language)
        except (SdpError, OSError) as error:
            _log.error("a call could not be answered: %s", error)
            return None
        self._dialogues.add(conversation)
        return conversation.heard

    def prompt(self, slug: str, language: str) -> Path:
        return self._prompt(slug, language)

    def over(self, conversation: _Conversation) -> None:
        self._dialogues.discard(conversation)

    @property
    def calls(self) -> int:
        return len(self._dialogues)

    def close(self) -> None:
        """Hang up on everybody and let go of the address."""
        for conversation in list(self._dialogues):
            conversation.leave()
        self.user_agent.close()


class _Conversation:
    """One call of the agent's: drives the pure dialogue with sound, keys and time."""

    def __init__(self, agent: DissuasionAgent, leg: IncomingLeg, script: Script, language: str) -> None:
        self._agent = agent
        self._leg = leg
        self._script = script
        self._language = language
        self._dialogue = begin(script)
        self._started = False
        self._silence: asyncio.TimerHandle | None = None
        self._target, self._codec = _usable(leg.request.body)
        self._rtp = RtpStream(agent.user_agent.address.host, on_key=self._key)
        body = self._answer_to(leg.request.body)
        asyncio.get_running_loop().call_soon(lambda: agent.user_agent.act(lambda: leg.answer(body)))

    def heard(self, leg: Leg, event: LegEvent) -> None:
        match event:
            case LegAcknowledged() if not self._started:
                self._started = True
                self._speak_to_target()
                self._step(Started())
            case LegOffered(body):
                self._renegotiate(body)
            case LegAckMissing():
                leg.hang_up()
            case LegHungUp() | LegEnded() | LegCancelled():
                self.close()
            case _:
                pass

    def _renegotiate(self, offer: bytes) -> None:
        """The person was put on hold, or moved to another address."""
        try:
            self._target, self._codec = _usable(offer)
            self._leg.accept_offer(self._answer_to(offer))
        except SdpError:
            self._leg.refuse_offer(488)
        else:
            self._speak_to_target()

    def _answer_to(self, offer: bytes) -> bytes:
        address, target = self._rtp.address, self._target
        return build_answer(
            parse(offer),
            address.host,
            address.port,
            self._codec,
            self._leg.next_origin(),
            telephone_event=target.telephone_event,
        )

    def _speak_to_target(self) -> None:
        target = self._target
        self._rtp.start(target.host, target.port, self._codec, target.telephone_event)

    def _key(self, digit: str) -> None:
        self._agent.user_agent.act(lambda: self._step(Digit(digit)))

    def _step(self, given: Input) -> None:
        if self._silence is not None and not isinstance(given, PromptFinished):
            self._silence.cancel()
            self._silence = None
        self._dialogue, effects = step(self._dialogue, given, self._script)
        self._leg.farewell = [(AGENT_HEADER, f"outcome={self._outcome(effects)}")]
        for effect in effects:
            match effect:
                case PlayPrompt(turn, slugs):
                    self._speak(turn, slugs)
                case Listen(turn, timeout_s):
                    self._listen(turn, timeout_s)
                case End(outcome):
                    self._leg.hang_up([(AGENT_HEADER, f"outcome={outcome.value}")])

    def _outcome(self, effects: tuple[Effect, ...]) -> str:
        """The outcome reached, or what it would be if the person hung up now."""
        ended = next((effect for effect in effects if isinstance(effect, End)), None)
        if ended is None:
            _, others = step(self._dialogue, HungUp(), self._script)
            ended = next((effect for effect in others if isinstance(effect, End)), None)
        return ended.outcome.value if ended is not None else "refused"

    def _speak(self, turn: int, slugs: tuple[str, ...]) -> None:
        self._rtp.be_quiet()
        for slug in slugs[:-1]:
            self._rtp.say(read_samples(self._agent.prompt(slug, self._language)))
        last = read_samples(self._agent.prompt(slugs[-1], self._language))

        def finished() -> None:
            if turn == 1:
                self._agent.user_agent.act(lambda: self._leg.report(NOTICE_GIVEN))
            self._agent.user_agent.act(lambda: self._step(PromptFinished(turn)))

        self._rtp.say(last, finished)

    def _listen(self, turn: int, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._silence = loop.call_later(
            timeout_s, lambda: self._agent.user_agent.act(lambda: self._step(Silence(turn)))
        )

    def leave(self) -> None:
        """The agent is stopped: say BYE, without waiting for its answer."""
        self._agent.user_agent.act(self._leg.hang_up)
        self.close()

    def close(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._rtp.close()
        self._leg.dispose()
        self._agent.over(self)


def _usable(body: bytes) -> tuple[AudioTarget, Codec]:
    """Where the offer wants its sound, and in which codec. Raises SdpError."""
    target = audio_target(parse(body))
    codec = choose_codec(target) if target is not None else None
    if target is None or codec is None:
        raise SdpError("no_codec")
    return target, codec
