"""The gate: calls that the table alone refuses get their answer before anything more of them is read.

It runs the same screening as the long way and tells the same events; a property test holds the two
together. Whatever is unusual, about the INVITE or about the verdict, is left to the long way. The answer goes
first: what is to be told of the call follows when the runtime has time for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final, Protocol

import msgspec

from engine.call.popups import Popups
from engine.call.rejects import rejection
from engine.call.telling import tell_refused, tell_screened
from engine.call.trunks import Trunks
from engine.call.values import Block, CallRefused, Decision, Redress, ScreeningRequest
from engine.call.wire import Wire
from engine.model.ids import CallId
from engine.model.outcome import Blame, Outcome
from engine.model.screening import HotEntry
from engine.model.trunk_sections import TrunkSection
from engine.sip.flow import Flow
from engine.sip.plain import AtOnce, PlainInvite, at_once

REJECTED = Outcome(Blame.POLICY, "rejected")
_INVITE: Final = b"INVITE sip:"
_FROM: Final = b"\r\nFrom: "
_URI: Final = b"<sip:"
_DIGITS: Final = 33
"""Of the longest number, with its plus."""

STANDING_S: Final = 60.0
"""After so long a block that stands is thought over all the same."""
LOOK_S: Final = 0.02
"""How often it is asked whether what such blocks depend on has changed."""
MAX_STANDING: Final = 20_000


class Screen(Protocol):
    """Screening, as the gate sees it: what is known at once."""

    def listed(self, text: str) -> HotEntry | None:
        """What the table says of a number as it stands in a message."""
        ...

    def block(self, request: ScreeningRequest, entry: HotEntry) -> Block | None:
        """The verdict on a call that this entry of the other party makes a reject; None for any other."""
        ...

    def may_refuse(self, called: str) -> bool:
        """Whether a block that stands holds for a call to that number too."""
        ...

    def view(self) -> object:
        """What blocks that stand depend on, beside their entry; another value, and none stands any more."""
        ...

    def blocked(self, call_id: CallId, request: ScreeningRequest, block: Block) -> Decision:
        """Count the call, and say all that is to be told of it."""
        ...


class _Suspect(msgspec.Struct, frozen=True, gc=False):
    trunk: str
    number: bytes
    """The other party's, as it was found."""
    entry: HotEntry
    block: Block | None = None
    """One that stands until `until`, monotonic seconds."""
    until: float = 0.0
    answer: AtOnce | None = None


class Gate:
    """Asked by the transaction layer of every INVITE."""

    __slots__ = (
        "_look_at",
        "_popups",
        "_redress",
        "_screen",
        "_sections",
        "_standing",
        "_trunks",
        "_view",
        "_wire",
        "closed",
    )

    def __init__(
        self,
        wire: Wire,
        screen: Screen,
        sections: Mapping[str, TrunkSection],
        trunks: Trunks,
        redress: Redress,
        popups: Popups,
    ) -> None:
        self._wire = wire
        self._screen = screen
        self._sections = sections
        self._trunks = trunks
        self._redress = redress
        self._popups = popups
        self._standing: dict[tuple[str, bytes], _Suspect] = {}
        self._view: object = None
        self._look_at = -inf
        self.closed = False
        """While draining, every call takes the long way."""

    def suspect(self, data: bytes, flow: Flow) -> _Suspect | None:
        """Whether the other party's number is in the table, as far as a glance shows."""
        trunk = self._trunks.of(flow.remote)
        if trunk is None or self.closed:
            return None
        if self._sections[trunk].side == "access":
            begin = len(_INVITE)
        else:
            begin = data.find(_URI, data.find(_FROM)) + len(_URI)
        # Should this be somebody else's, then `refusal` sees it.
        number = data[begin : data.find(b"@", begin, begin + _DIGITS + 1)]
        if not (number[1:] if number[:1] == b"+" else number).isdigit():
            return None
        now = self._wire.now
        if now >= self._look_at:
            self._look(now)
        standing = self._standing.get((trunk, number))
        if standing is not None and now < standing.until:
            return standing
        entry = self._screen.listed(number.decode("ascii"))
        return _Suspect(trunk, number, entry) if entry is not None else None

    def refusal(self, suspect: _Suspect, plain: PlainInvite, flow: Flow) -> AtOnce | None:
        """The answer to a call that the entry makes a reject."""
        name = suspect.trunk
        trunk = self._sections[name]
        if suspect.number != (plain.called if trunk.side == "access" else plain.calling).encode():
            return None
        if plain.asserted and trunk.trusted_identity:
            return None
        if trunk.announce_608 and trunk.reject == "608" and plain.has_body:
            return None  # the caller may hear why first
        block, answer = suspect.block, suspect.answer
        if block is None or answer is None or not self._screen.may_refuse(plain.called):
            block = self._screen.block(_asked(name, plain), suspect.entry)
            if block is None:
                return None
            final = rejection(block, trunk.reject, self._redress)
            answer = at_once(final.status, final.phrase, final.headers)
            if block.decision is not None:
                self._stand(suspect, block, answer)
        call_id = CallId(self._wire.ids.token())
        self._wire.effects.append(CallRefused(call_id, name, plain, block, answer.status))
        return answer

    def _stand(self, suspect: _Suspect, block: Block, answer: AtOnce) -> None:
        if len(self._standing) >= MAX_STANDING:
            self._standing.clear()
        ends = [each for each in (suspect.entry.expires, block.verdict.expires) if each is not None]
        left_s = min([STANDING_S, *((end - block.decided).total_seconds() for end in ends)])
        self._standing[suspect.trunk, suspect.number] = msgspec.structs.replace(
            suspect, block=block, until=self._wire.now + left_s, answer=answer
        )

    def _look(self, now: float) -> None:
        """Whether what blocks stand on is still the same."""
        self._look_at = now + LOOK_S
        view = self._screen.view()
        if view != self._view:
            self._view = view
            self._standing.clear()

    def tell(self, refused: CallRefused) -> None:
        """The events of a call that was refused here, and its popup."""
        call_id, asked = refused.call_id, _asked(refused.trunk, refused.invite)
        decision = self._screen.blocked(call_id, asked, refused.block)
        trunk = self._sections[asked.trunk]
        tell_screened(self._wire, call_id, trunk, asked, decision, refused.invite.call_id)
        tell_refused(self._wire, call_id, refused.status, REJECTED)
        if decision.popup is not None:
            self._popups.deliver(call_id, decision, asked.called)


def _asked(trunk: str, plain: PlainInvite) -> ScreeningRequest:
    return ScreeningRequest(trunk, plain.calling, plain.called, plain.uri, plain.display, None, ())
