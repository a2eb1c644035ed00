"""Transaction timers: one queue per duration, since entries of equal duration expire in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import inf
from operator import itemgetter
from typing import Final

import msgspec

from engine.sip.machines import Action, Input
from engine.sip.transaction import Transaction

_AT: Final = itemgetter(0)


class Timers(msgspec.Struct, frozen=True):
    """RFC 3261 §17.1.1.1 and table 4, in seconds."""

    t1_s: float = 0.5
    t2_s: float = 4.0
    t4_s: float = 5.0
    timer_d_s: float = 32.0

    @property
    def patience_s(self) -> float:
        """64*T1: timers B, F, H, J, L and M."""
        return 64 * self.t1_s


class TimerQueues:
    """Running timers. A stopped timer stays queued and is skipped: its transaction ignores it by now."""

    def __init__(self, timers: Timers) -> None:
        self.soonest = inf
        self._queues: dict[float, deque[tuple[float, Transaction, Input]]] = {}
        patience = timers.patience_s
        # Action: the timer, its seconds over UDP and over a reliable transport (None: it does not run
        # there; RFC 3261 table 4), and where their doubling ends (0: they stay).
        rows: dict[Action, tuple[Input, float, float | None, float]] = {
            Action.START_A: (Input.TIMER_A, timers.t1_s, None, inf),
            Action.START_B: (Input.TIMER_B, patience, patience, 0.0),
            Action.START_CANCEL: (Input.TIMER_CANCEL, patience, patience, 0.0),
            Action.START_D: (Input.TIMER_D, timers.timer_d_s, 0.0, 0.0),
            Action.START_E: (Input.TIMER_E, timers.t1_s, None, timers.t2_s),
            Action.START_E_AT_T2: (Input.TIMER_E, timers.t2_s, None, 0.0),
            Action.START_F: (Input.TIMER_F, patience, patience, 0.0),
            Action.START_G: (Input.TIMER_G, timers.t1_s, None, timers.t2_s),
            # The 2xx crosses proxies whose next hop may be UDP (RFC 3261 §13.3.1.4).
            Action.START_2XX: (Input.TIMER_2XX, timers.t1_s, timers.t1_s, timers.t2_s),
            Action.START_H: (Input.TIMER_H, patience, patience, 0.0),
            Action.START_I: (Input.TIMER_I, timers.t4_s, 0.0, 0.0),
            Action.START_J: (Input.TIMER_J, patience, 0.0, 0.0),
            Action.START_K: (Input.TIMER_K, timers.t4_s, 0.0, 0.0),
            Action.START_L: (Input.TIMER_L, patience, patience, 0.0),
            Action.START_M: (Input.TIMER_M, patience, patience, 0.0),
        }
        self._over_udp = {
            action: (timer, udp_s, most_s) for action, (timer, udp_s, _, most_s) in rows.items()
        }
        self._over_streams = {
            action: (timer, reliable_s, most_s)
            for action, (timer, _, reliable_s, most_s) in rows.items()
            if reliable_s is not None
        }

    def start(self, transaction: Transaction, actions: Iterable[Action], now: float) -> None:
        """Start the timers that actions name: each reaches the transaction later, by `due`. `now` never goes
        backwards.
        """
        rows = self._over_udp if transaction.flow.transport == "udp" else self._over_streams
        for action in actions:
            row = rows.get(action)
            if row is None:
                continue
            timer, duration_s, most_s = row
            if most_s:
                if transaction.interval_s:
                    duration_s = min(2 * transaction.interval_s, most_s)
                transaction.interval_s = duration_s
            at = now + duration_s
            queue = self._queues.get(duration_s)
            if queue is None:
                queue = self._queues[duration_s] = deque()
            queue.append((at, transaction, timer))
            if at < self.soonest:
                self.soonest = at

    def next(self) -> float | None:
        """When the next timer that still matters is due, or None. `soonest` is that from then on."""
        self._take(-inf)
        return self.soonest if self.soonest < inf else None

    def due(self, now: float) -> list[tuple[float, Transaction, Input]]:
        """Take out all timers due at `now`, with the time of each, the earliest first.

        Not worth a call before `soonest`.
        """
        fired = self._take(now)
        if len(fired) > 1:
            fired.sort(key=_AT)
        return fired

    def _take(self, now: float) -> list[tuple[float, Transaction, Input]]:
        """What is due at `now`; what was stopped is dropped on the way, so that `soonest` is exact."""
        fired: list[tuple[float, Transaction, Input]] = []
        soonest = inf
        for queue in self._queues.values():
            while queue:
                entry = queue[0]
                at, transaction, timer = entry
                if (transaction.state, timer) in transaction.machine.rows:
                    if at > now:
                        if at < soonest:
                            soonest = at
                        break
                    fired.append(entry)
                queue.popleft()
        self.soonest = soonest
        return fired

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))
