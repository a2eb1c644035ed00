"""Commands from the bus: carried out once, always acknowledged."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from engine.call.values import CallCommand, EndCallNow, PlaceCall
from engine.model.commands import Acknowledgement, AnyCommand, EndCall, PlaceDissuasionCall
from engine.model.config import Config
from engine.model.ids import CommandId
from engine.runtime.screener import Screener
from scoring.numbers import Numbering, NumberKind

REMEMBERED = 1_000
"""Acknowledgements of the last so many are kept, for commands that come again."""
_log = logging.getLogger(__name__)


class Commands:
    """Of one worker. `carry_out` gets what the core is to do, `acknowledge` each answer, at once or later."""

    def __init__(
        self,
        config: Config,
        screener: Screener,
        numbering: Numbering,
        carry_out: Callable[[CallCommand], None],
        acknowledge: Callable[[Acknowledgement], None],
    ) -> None:
        self._config = config
        self._screener = screener
        self._numbering = numbering
        self._carry_out = carry_out
        self._acknowledge = acknowledge
        self._known: OrderedDict[CommandId, Acknowledgement | None] = OrderedDict()

    def take(self, payload: bytes) -> None:
        """One command as it came from the bus."""
        try:
            command = msgspec.json.decode(payload, type=AnyCommand)
        except msgspec.MsgspecError as error:
            _log.warning("a command that cannot be read was refused: %s", error)
            return
        if command.id in self._known:
            earlier = self._known[command.id]
            if earlier is not None:
                self._acknowledge(earlier)
            return
        self._known[command.id] = None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        if command.deadline < time.time():
            self.answer(Acknowledgement(id=command.id, ok=False, error="expired"))
        elif isinstance(command, EndCall):
            self._carry_out(EndCallNow(command.id, command.call_id))
        else:
            self._place(command)

    def answer(self, acknowledgement: Acknowledgement) -> None:
        """The core's, or ours where it was not asked."""
        self._known[acknowledgement.id] = acknowledgement
        self._acknowledge(acknowledgement)

    def _place(self, command: PlaceDissuasionCall) -> None:
        config = self._config
        number = self._numbering.normalise(command.number)
        caller = self._numbering.normalise(config.dissuasion.caller)
        hop = next(iter(self._screener.route_to(caller, number).hops), None)
        error = ""
        if not config.dissuasion.enabled:
            error = "disabled"
        elif number.protected or number.kind is not NumberKind.E164:
            error = "invalid"
        elif hop is None:
            error = "no_route"
        if error or hop is None:
            self.answer(Acknowledgement(id=command.id, ok=False, error=error))
            return
        self._carry_out(
            PlaceCall(
                command_id=command.id,
                case_id=command.case_id,
                calling=self._screener.party(caller),
                called=self._screener.party(number),
                calling_user=config.dissuasion.caller,
                called_user=number.display,
                hop=hop,
                language=command.language,
                script=command.script,
                record=config.recording.enabled,
            )
        )
