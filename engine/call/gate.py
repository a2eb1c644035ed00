"""The gate: calls that the table alone refuses get their answer before anything more of them is read.

It runs the same screening as the long way and tells the same events; a property test holds the two
together. Whatever is unusual, about the INVITE or about the verdict, is left to the long way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from engine.call.rejects import rejection
from engine.call.telling import tell_refused, tell_screened
from engine.call.trunks import Trunks
from engine.call.values import Decision, Redress, ScreeningRequest
from engine.call.wire import Wire
from engine.model.config import TrunkSection
from engine.model.ids import CallId
from engine.model.outcome import Blame, Outcome
from engine.sip.flow import Flow
from engine.sip.message import Request
from engine.sip.plain import AtOnce, PlainInvite

REJECTED = Outcome(Blame.POLICY, "rejected")


class Screen(Protocol):
    """Screening, as the gate sees it: what is known at once, without effects of its own."""

    def refusal(
        self, request: ScreeningRequest, name: Callable[[], CallId]
    ) -> tuple[CallId, Decision] | None:
        """The decision on a call that a table entry makes a reject, and its new id; None for any other."""
        ...


class Gate:
    """Asked by the transaction layer of every plain INVITE outside a dialog."""

    __slots__ = ("_redress", "_screen", "_sections", "_trunks", "_wire", "closed", "refused")

    def __init__(
        self,
        wire: Wire,
        screen: Screen,
        sections: Mapping[str, TrunkSection],
        trunks: Trunks,
        redress: Redress,
    ) -> None:
        self._wire = wire
        self._screen = screen
        self._sections = sections
        self._trunks = trunks
        self._redress = redress
        self.closed = False
        """While draining, every call takes the long way."""
        self.refused: list[tuple[CallId, Decision, str]] = []
        """Whose popup, to that user, is still to be sent: the answer goes first."""

    def __call__(self, plain: PlainInvite, request: Request, flow: Flow) -> AtOnce | None:
        name = self._trunks.of(flow.remote)
        if name is None or self.closed:
            return None
        trunk = self._sections[name]
        if plain.asserted and trunk.trusted_identity:
            return None
        uri = str(request.request_uri)
        asked = ScreeningRequest(name, plain.calling, plain.called, uri, plain.display, None, ())
        if trunk.announce_608 and trunk.reject == "608" and request.body:
            return None  # the caller may hear why first
        found = self._screen.refusal(asked, self._name)
        if found is None:
            return None
        call_id, decision = found
        final = rejection(decision, trunk.reject, self._redress)
        tell_screened(self._wire, call_id, trunk, asked, decision, request.call_id)
        tell_refused(self._wire, call_id, final.status, REJECTED)
        if decision.popup is not None:
            self.refused.append((call_id, decision, plain.called))
        return AtOnce(final.status, final.phrase, final.headers)

    def _name(self) -> CallId:
        return CallId(self._wire.ids.token())
