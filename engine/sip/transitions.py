"""The transactions that live: where each stands, its timers, and the steps along the tables' arrows."""

from __future__ import annotations

from typing import Final, Literal

from engine.sip.effects import (
    AckReceived,
    AckTimeout,
    ClientKey,
    Effect,
    ResponseReceived,
    Send,
    ServerKey,
    TransactionFailed,
)
from engine.sip.errors import LocalProtocolError
from engine.sip.flow import Flow
from engine.sip.machines import NON_INVITE_CLIENT, STARTS, Action, Input, State
from engine.sip.message import Request, Response
from engine.sip.messages import ack_for_failure
from engine.sip.timers import TimerQueues, Timers
from engine.sip.transaction import AckKey, ClientTransaction, MergeKey, ServerTransaction, Transaction

_SEND_RESPONSE: Final = Action.SEND_RESPONSE
_PASS_UP: Final = Action.PASS_UP
_TERMINATED: Final = State.TERMINATED


class Transactions:
    """The half of the layer that knows neither wire nor TU: given an input, it steps and starts timers."""

    def __init__(self, timers: Timers) -> None:
        self._queues = TimerQueues(timers)
        self._clients: dict[str, ClientTransaction] = {}
        # A CANCEL shares its INVITE's branch.
        self._cancels: dict[str, ClientTransaction] = {}
        self._servers: dict[ServerKey, ServerTransaction] = {}
        self._merges: dict[MergeKey, ServerTransaction] = {}
        self._accepted: dict[AckKey, ServerTransaction] = {}
        self._refused: dict[bytes, ServerTransaction] = {}
        """INVITEs refused by the gate, by their top Via as it came."""
        self.repeats_sent = 0
        """Retransmissions of ours, by the clock or because the peer repeated itself."""

    def send_failed(self, flow: Flow, branch: str, error: str, now: float) -> list[Effect]:
        """The transport could not send what `Send` named by this branch (RFC 3261 §17.1.4)."""
        effects: list[Effect] = []
        for table in (self._clients, self._cancels):
            transaction = table.get(branch)
            if transaction is not None and transaction.flow == flow:
                effects += self._step(transaction, Input.TRANSPORT_ERROR, now)
        return effects

    def timer(self, now: float) -> list[Effect]:
        """Let all timers fire that are due."""
        effects: list[Effect] = []
        if now < self._queues.soonest:
            return effects
        for _, transaction, timer in self._queues.due(now):
            effects += self._step(transaction, timer, now)
        return effects

    def next_timer(self) -> float | None:
        """When `timer` should be called next, or None."""
        return self._queues.next()

    @property
    def soonest(self) -> float:
        """No timer is due before; it may be of one that was stopped, infinite where there is none."""
        return self._queues.soonest

    def counts(self) -> dict[str, int]:
        """Live transactions by kind, and queued timers, stopped ones included until they expire."""
        return {
            "client": len(self._clients),
            "cancel": len(self._cancels),
            "server": len(self._servers),
            "merge": len(self._merges),
            "accepted": len(self._accepted),
            "timer": len(self._queues),
        }

    def _step(
        self,
        transaction: Transaction,
        given: Input,
        now: float,
        *,
        message: Request | Response | None = None,
        flow: Flow | None = None,
        data: bytes = b"",
    ) -> list[Effect]:
        """Follow the table's arrow, if there is one, and do what it says."""
        machine = transaction.machine
        row = machine.rows.get((transaction.state, given))
        if row is None:
            if (transaction.state, given) in machine.forbidden:
                raise LocalProtocolError(f"{given} in state {transaction.state} of {transaction.key}")
            return []
        transaction.state, actions = row
        effects: list[Effect] = []
        timed = False
        for action in actions:
            if action is _SEND_RESPONSE:
                transaction.data = data
                effects.append(Send(transaction.flow, data, ""))
            elif action is _PASS_UP:
                if isinstance(transaction, ServerTransaction):
                    assert isinstance(message, Request) and flow is not None
                    effects.append(AckReceived(message, flow))
                    transaction.data = b""  # an acknowledged 2xx is not sent again
                elif not transaction.absorbed:
                    assert isinstance(message, Response)
                    effects.append(ResponseReceived(transaction.key, message))
                    if transaction.state is State.ACCEPTED:  # neither cancelled nor sent again
                        transaction.request, transaction.data = None, b""
            elif action in STARTS:
                timed = True
            elif action is Action.RESEND:
                if transaction.data:
                    self.repeats_sent += 1
                    effects.append(Send(transaction.flow, transaction.data, _report(transaction)))
            elif isinstance(transaction, ServerTransaction):
                final: Literal["2xx", "failure"] = "2xx" if action is Action.REPORT_NO_ACK_2XX else "failure"
                effects.append(AckTimeout(transaction.key, final))
            elif action is Action.SEND_CANCEL:
                if transaction.cancel:
                    effects += self._send_cancel(transaction, now)
            elif action is Action.SEND_ACK:
                assert isinstance(message, Response) and transaction.request is not None
                ack = ack_for_failure(transaction.request, transaction.via, message)
                effects.append(Send(transaction.flow, ack.to_bytes(), transaction.key.branch))
            elif not transaction.absorbed:
                reason: Literal["timeout", "transport"]
                reason = "timeout" if action is Action.REPORT_TIMEOUT else "transport"
                effects.append(TransactionFailed(transaction.key, reason))
        if timed:
            self._queues.start(transaction, actions, now)
        if transaction.state is _TERMINATED:
            self._forget(transaction)
        return effects

    def _send_cancel(self, invite: ClientTransaction, now: float) -> list[Effect]:
        self._queues.start(invite, (Action.START_CANCEL,), now)
        branch, flow, data = invite.key.branch, invite.flow, invite.cancel
        machine = NON_INVITE_CLIENT
        key = ClientKey(branch, "CANCEL")
        cancel = ClientTransaction(key, machine, machine.initial, data, flow, absorbed=True)
        self._cancels[branch] = cancel
        self._queues.start(cancel, machine.entry, now)
        return [Send(flow, data, branch)]

    def _forget(self, transaction: Transaction) -> None:
        # Stopped timers keep the object for a while, so it lets go of what is large.
        transaction.data = b""
        if isinstance(transaction, ClientTransaction):
            del (self._cancels if transaction.absorbed else self._clients)[transaction.key.branch]
            return
        del self._servers[transaction.key]
        if transaction.merge_key is not None:
            self._merges.pop(transaction.merge_key, None)
        if transaction.ack_key is not None:
            self._accepted.pop(transaction.ack_key, None)
        if transaction.via:
            self._refused.pop(transaction.via, None)


def _report(transaction: Transaction) -> str:
    """The branch under which a failed Send is reported: responses have none."""
    return transaction.key.branch if isinstance(transaction, ClientTransaction) else ""
