"""The transaction state machines as tables, one row per arrow (RFC 3261 §17, RFC 6026).

All arrows hold for reliable transports too: there timers A, E and G never start, and D, I, J and K take
no time, as the layer's durations say.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, auto
from itertools import product
from typing import Final

import msgspec


class State(StrEnum):
    """States of all four machines."""

    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    ACCEPTED = auto()
    # RFC 6026's Accepted, once the ACK has stopped our 2xx: the layer retransmits it on the TU's behalf.
    ACKNOWLEDGED = auto()
    TERMINATED = auto()


class Input(StrEnum):
    """What can happen to a transaction."""

    RECEIVE_PROVISIONAL = auto()
    RECEIVE_SUCCESS = auto()
    RECEIVE_FAILURE = auto()
    RECEIVE_REQUEST = auto()
    RECEIVE_ACK = auto()
    SEND_PROVISIONAL = auto()
    SEND_SUCCESS = auto()
    SEND_FAILURE = auto()
    TRANSPORT_ERROR = auto()
    TIMER_A = auto()
    TIMER_B = auto()
    TIMER_D = auto()
    TIMER_E = auto()
    TIMER_F = auto()
    TIMER_G = auto()
    TIMER_H = auto()
    TIMER_I = auto()
    TIMER_J = auto()
    TIMER_K = auto()
    TIMER_L = auto()
    TIMER_M = auto()
    # Not lettered in the RFC: retransmission of a 2xx (§13.3.1.4) and the wait after a CANCEL (§9.1).
    TIMER_2XX = auto()
    TIMER_CANCEL = auto()


class Action(StrEnum):
    """What the layer does on an arrow, in the row's order."""

    PASS_UP = auto()
    SEND_ACK = auto()
    SEND_CANCEL = auto()
    SEND_RESPONSE = auto()
    RESEND = auto()
    REPORT_TIMEOUT = auto()
    REPORT_TRANSPORT = auto()
    REPORT_NO_ACK_2XX = auto()
    REPORT_NO_ACK_FAILURE = auto()
    # Retransmissions: from T1, doubling; capped at T2 but for timer A.
    START_A = auto()
    START_E = auto()
    START_E_AT_T2 = auto()
    START_G = auto()
    START_2XX = auto()
    START_B = auto()
    START_D = auto()
    START_F = auto()
    START_H = auto()
    START_I = auto()
    START_J = auto()
    START_K = auto()
    START_L = auto()
    START_M = auto()
    # With the CANCEL, which SEND_CANCEL sends where it was asked for.
    START_CANCEL = auto()


STARTS: Final = frozenset(action for action in Action if action.name.startswith("START_"))
"""The actions that start timers."""

Row = tuple[State, tuple[Action, ...]]


class Machine(msgspec.Struct, frozen=True):
    """Where it starts, its arrows, the pairs that change nothing, and those only a mistaken TU can cause.

    Every pair of a live state and an input stands in exactly one of the three. `ignored` ones come late or
    are timers not running in that state; `forbidden` ones raise LocalProtocolError.
    """

    initial: State
    entry: tuple[Action, ...]
    inputs: frozenset[Input]
    rows: Mapping[tuple[State, Input], Row]
    ignored: frozenset[tuple[State, Input]]
    forbidden: frozenset[tuple[State, Input]] = frozenset()

    @property
    def states(self) -> frozenset[State]:
        """All states that can be reached, TERMINATED included."""
        return frozenset({self.initial, *(state for state, _ in self.rows.values())})


def _pairs(states: tuple[State, ...], inputs: tuple[Input, ...]) -> frozenset[tuple[State, Input]]:
    return frozenset(product(states, inputs))


S, I, A = State, Input, Action  # noqa: E741

INVITE_CLIENT = Machine(
    initial=S.CALLING,
    entry=(A.START_A, A.START_B),
    inputs=frozenset(
        {
            I.RECEIVE_PROVISIONAL,
            I.RECEIVE_SUCCESS,
            I.RECEIVE_FAILURE,
            I.TRANSPORT_ERROR,
            I.TIMER_A,
            I.TIMER_B,
            I.TIMER_D,
            I.TIMER_M,
            I.TIMER_CANCEL,
        }
    ),
    rows={
        (S.CALLING, I.TIMER_A): (S.CALLING, (A.RESEND, A.START_A)),  # RFC 3261 §17.1.1.2
        (S.CALLING, I.TIMER_B): (S.TERMINATED, (A.REPORT_TIMEOUT,)),  # RFC 3261 §17.1.1.2
        (S.CALLING, I.TRANSPORT_ERROR): (S.TERMINATED, (A.REPORT_TRANSPORT,)),  # RFC 3261 §17.1.4
        # A CANCEL asked for before any response leaves now (RFC 3261 §9.1).
        (S.CALLING, I.RECEIVE_PROVISIONAL): (S.PROCEEDING, (A.PASS_UP, A.SEND_CANCEL)),  # RFC 3261 §17.1.1.2
        (S.CALLING, I.RECEIVE_SUCCESS): (S.ACCEPTED, (A.PASS_UP, A.START_M)),  # RFC 6026 §7.2
        (S.CALLING, I.RECEIVE_FAILURE): (
            S.COMPLETED,
            (A.SEND_ACK, A.PASS_UP, A.START_D),
        ),  # RFC 3261 §17.1.1.2
        (S.PROCEEDING, I.RECEIVE_PROVISIONAL): (S.PROCEEDING, (A.PASS_UP,)),  # RFC 3261 §17.1.1.2
        (S.PROCEEDING, I.RECEIVE_SUCCESS): (S.ACCEPTED, (A.PASS_UP, A.START_M)),  # RFC 6026 §7.2
        (S.PROCEEDING, I.RECEIVE_FAILURE): (
            S.COMPLETED,
            (A.SEND_ACK, A.PASS_UP, A.START_D),
        ),  # RFC 3261 §17.1.1.2
        (S.PROCEEDING, I.TIMER_CANCEL): (S.TERMINATED, (A.REPORT_TIMEOUT,)),  # RFC 3261 §9.1
        (S.COMPLETED, I.RECEIVE_FAILURE): (S.COMPLETED, (A.SEND_ACK,)),  # RFC 3261 §17.1.1.2
        (S.COMPLETED, I.TRANSPORT_ERROR): (S.TERMINATED, (A.REPORT_TRANSPORT,)),  # RFC 3261 §17.1.1.2
        (S.COMPLETED, I.TIMER_D): (S.TERMINATED, ()),  # RFC 3261 §17.1.1.2
        (S.ACCEPTED, I.RECEIVE_SUCCESS): (S.ACCEPTED, (A.PASS_UP,)),  # RFC 6026 §7.2
        (S.ACCEPTED, I.TIMER_M): (S.TERMINATED, ()),  # RFC 6026 §7.2
    },
    ignored=_pairs((S.CALLING,), (I.TIMER_D, I.TIMER_M, I.TIMER_CANCEL))
    | _pairs((S.PROCEEDING,), (I.TIMER_D, I.TIMER_M))
    | _pairs((S.PROCEEDING, S.COMPLETED, S.ACCEPTED), (I.TIMER_A, I.TIMER_B))
    | _pairs((S.COMPLETED, S.ACCEPTED), (I.RECEIVE_PROVISIONAL, I.TIMER_CANCEL))
    | {
        # The transaction has nothing of its own under way here (RFC 6026 §7.2 has no such arrow).
        (S.PROCEEDING, I.TRANSPORT_ERROR),
        (S.ACCEPTED, I.TRANSPORT_ERROR),
        (S.COMPLETED, I.RECEIVE_SUCCESS),
        (S.COMPLETED, I.TIMER_M),
        (S.ACCEPTED, I.RECEIVE_FAILURE),
        (S.ACCEPTED, I.TIMER_D),
    },
)

NON_INVITE_CLIENT = Machine(
    initial=S.TRYING,
    entry=(A.START_E, A.START_F),
    inputs=frozenset(
        {
            I.RECEIVE_PROVISIONAL,
            I.RECEIVE_SUCCESS,
            I.RECEIVE_FAILURE,
            I.TRANSPORT_ERROR,
            I.TIMER_E,
            I.TIMER_F,
            I.TIMER_K,
        }
    ),
    rows={  # RFC 3261 §17.1.2.2 throughout; transport errors §17.1.4
        (S.TRYING, I.TIMER_E): (S.TRYING, (A.RESEND, A.START_E)),
        (S.TRYING, I.TIMER_F): (S.TERMINATED, (A.REPORT_TIMEOUT,)),
        (S.TRYING, I.TRANSPORT_ERROR): (S.TERMINATED, (A.REPORT_TRANSPORT,)),
        (S.TRYING, I.RECEIVE_PROVISIONAL): (S.PROCEEDING, (A.PASS_UP,)),
        (S.TRYING, I.RECEIVE_SUCCESS): (S.COMPLETED, (A.PASS_UP, A.START_K)),
        (S.TRYING, I.RECEIVE_FAILURE): (S.COMPLETED, (A.PASS_UP, A.START_K)),
        (S.PROCEEDING, I.TIMER_E): (S.PROCEEDING, (A.RESEND, A.START_E_AT_T2)),
        (S.PROCEEDING, I.TIMER_F): (S.TERMINATED, (A.REPORT_TIMEOUT,)),
        (S.PROCEEDING, I.TRANSPORT_ERROR): (S.TERMINATED, (A.REPORT_TRANSPORT,)),
        (S.PROCEEDING, I.RECEIVE_PROVISIONAL): (S.PROCEEDING, (A.PASS_UP,)),
        (S.PROCEEDING, I.RECEIVE_SUCCESS): (S.COMPLETED, (A.PASS_UP, A.START_K)),
        (S.PROCEEDING, I.RECEIVE_FAILURE): (S.COMPLETED, (A.PASS_UP, A.START_K)),
        (S.COMPLETED, I.TIMER_K): (S.TERMINATED, ()),
    },
    ignored=_pairs(
        (S.COMPLETED,),
        (
            I.RECEIVE_PROVISIONAL,
            I.RECEIVE_SUCCESS,
            I.RECEIVE_FAILURE,
            I.TRANSPORT_ERROR,
            I.TIMER_E,
            I.TIMER_F,
        ),
    )
    | _pairs((S.TRYING, S.PROCEEDING), (I.TIMER_K,)),
)

# What a UAS and a proxy have in common: all but a 2xx (RFC 3261 §17.2.1 throughout).
_UNTIL_A_SUCCESS: dict[tuple[State, Input], Row] = {
    (S.PROCEEDING, I.RECEIVE_REQUEST): (S.PROCEEDING, (A.RESEND,)),
    (S.PROCEEDING, I.SEND_PROVISIONAL): (S.PROCEEDING, (A.SEND_RESPONSE,)),
    (S.PROCEEDING, I.SEND_FAILURE): (S.COMPLETED, (A.SEND_RESPONSE, A.START_G, A.START_H)),
    (S.COMPLETED, I.RECEIVE_REQUEST): (S.COMPLETED, (A.RESEND,)),
    (S.COMPLETED, I.TIMER_G): (S.COMPLETED, (A.RESEND, A.START_G)),
    (S.COMPLETED, I.TIMER_H): (S.TERMINATED, (A.REPORT_NO_ACK_FAILURE,)),
    (S.COMPLETED, I.RECEIVE_ACK): (S.CONFIRMED, (A.START_I,)),
    (S.CONFIRMED, I.TIMER_I): (S.TERMINATED, ()),
}

# A failed response is retransmitted or its ACK times out; telling the TU earlier would change nothing, so
# TRANSPORT_ERROR (RFC 3261 §17.2.4) is no input of the server machines.
INVITE_SERVER = Machine(
    initial=S.PROCEEDING,
    entry=(),
    inputs=frozenset(
        {
            I.RECEIVE_REQUEST,
            I.RECEIVE_ACK,
            I.SEND_PROVISIONAL,
            I.SEND_SUCCESS,
            I.SEND_FAILURE,
            I.TIMER_G,
            I.TIMER_H,
            I.TIMER_I,
            I.TIMER_L,
            I.TIMER_2XX,
        }
    ),
    rows={
        **_UNTIL_A_SUCCESS,
        (S.PROCEEDING, I.SEND_SUCCESS): (
            S.ACCEPTED,
            (A.SEND_RESPONSE, A.START_2XX, A.START_L),
        ),  # RFC 6026 §7.1, RFC 3261 §13.3.1.4
        (S.ACCEPTED, I.TIMER_2XX): (S.ACCEPTED, (A.RESEND, A.START_2XX)),  # RFC 3261 §13.3.1.4
        (S.ACCEPTED, I.RECEIVE_ACK): (S.ACKNOWLEDGED, (A.PASS_UP,)),  # RFC 6026 §7.1
        (S.ACCEPTED, I.TIMER_L): (S.TERMINATED, (A.REPORT_NO_ACK_2XX,)),  # RFC 6026 §7.1, RFC 3261 §13.3.1.4
        (S.ACKNOWLEDGED, I.TIMER_L): (S.TERMINATED, ()),  # RFC 6026 §7.1
    },
    ignored=_pairs((S.PROCEEDING,), (I.TIMER_G, I.TIMER_H, I.TIMER_I, I.TIMER_L, I.TIMER_2XX))
    | _pairs((S.COMPLETED,), (I.TIMER_I, I.TIMER_L, I.TIMER_2XX))
    | _pairs((S.CONFIRMED,), (I.RECEIVE_REQUEST, I.RECEIVE_ACK, I.TIMER_G, I.TIMER_H))
    | _pairs((S.CONFIRMED,), (I.TIMER_L, I.TIMER_2XX))
    | _pairs((S.ACCEPTED, S.ACKNOWLEDGED), (I.TIMER_G, I.TIMER_H, I.TIMER_I))
    | _pairs((S.ACKNOWLEDGED,), (I.RECEIVE_REQUEST, I.RECEIVE_ACK, I.TIMER_2XX))
    | {
        (S.PROCEEDING, I.RECEIVE_ACK),
        (S.ACCEPTED, I.RECEIVE_REQUEST),  # absorbed (RFC 6026 §7.1)
    },
    forbidden=_pairs(
        (S.COMPLETED, S.CONFIRMED, S.ACCEPTED, S.ACKNOWLEDGED),
        (I.SEND_PROVISIONAL, I.SEND_SUCCESS, I.SEND_FAILURE),
    ),
)

# A proxy passes 2xx and their ACKs on, each time they come: neither is its to repeat or to wait for.
INVITE_PROXY_SERVER = Machine(
    initial=S.PROCEEDING,
    entry=(),
    inputs=INVITE_SERVER.inputs - {I.TIMER_2XX},
    rows={
        **_UNTIL_A_SUCCESS,
        (S.PROCEEDING, I.SEND_SUCCESS): (S.ACCEPTED, (A.SEND_RESPONSE, A.START_L)),  # RFC 6026 §7.1
        (S.ACCEPTED, I.SEND_SUCCESS): (S.ACCEPTED, (A.SEND_RESPONSE,)),  # RFC 6026 §7.1
        # A peer of RFC 2543 may give the ACK its INVITE's branch.
        (S.ACCEPTED, I.RECEIVE_ACK): (S.ACCEPTED, (A.PASS_UP,)),  # RFC 6026 §7.1
        (S.ACCEPTED, I.TIMER_L): (S.TERMINATED, ()),  # RFC 6026 §7.1
    },
    ignored=_pairs((S.PROCEEDING,), (I.TIMER_G, I.TIMER_H, I.TIMER_I, I.TIMER_L))
    | _pairs((S.COMPLETED,), (I.TIMER_I, I.TIMER_L))
    | _pairs((S.CONFIRMED,), (I.RECEIVE_REQUEST, I.RECEIVE_ACK, I.TIMER_G, I.TIMER_H, I.TIMER_L))
    | _pairs((S.ACCEPTED,), (I.TIMER_G, I.TIMER_H, I.TIMER_I))
    | {
        (S.PROCEEDING, I.RECEIVE_ACK),
        (S.ACCEPTED, I.RECEIVE_REQUEST),  # absorbed (RFC 6026 §7.1)
    },
    forbidden=_pairs((S.COMPLETED, S.CONFIRMED), (I.SEND_PROVISIONAL, I.SEND_SUCCESS, I.SEND_FAILURE))
    | _pairs((S.ACCEPTED,), (I.SEND_PROVISIONAL, I.SEND_FAILURE)),
)

NON_INVITE_SERVER = Machine(
    initial=S.TRYING,
    entry=(),
    inputs=frozenset(
        {I.RECEIVE_REQUEST, I.SEND_PROVISIONAL, I.SEND_SUCCESS, I.SEND_FAILURE, I.TIMER_J},
    ),
    rows={  # RFC 3261 §17.2.2 throughout
        (S.TRYING, I.SEND_PROVISIONAL): (S.PROCEEDING, (A.SEND_RESPONSE,)),
        (S.TRYING, I.SEND_SUCCESS): (S.COMPLETED, (A.SEND_RESPONSE, A.START_J)),
        (S.TRYING, I.SEND_FAILURE): (S.COMPLETED, (A.SEND_RESPONSE, A.START_J)),
        (S.PROCEEDING, I.RECEIVE_REQUEST): (S.PROCEEDING, (A.RESEND,)),
        (S.PROCEEDING, I.SEND_PROVISIONAL): (S.PROCEEDING, (A.SEND_RESPONSE,)),
        (S.PROCEEDING, I.SEND_SUCCESS): (S.COMPLETED, (A.SEND_RESPONSE, A.START_J)),
        (S.PROCEEDING, I.SEND_FAILURE): (S.COMPLETED, (A.SEND_RESPONSE, A.START_J)),
        (S.COMPLETED, I.RECEIVE_REQUEST): (S.COMPLETED, (A.RESEND,)),
        (S.COMPLETED, I.TIMER_J): (S.TERMINATED, ()),
    },
    ignored=_pairs((S.TRYING, S.PROCEEDING), (I.TIMER_J,))
    | _pairs((S.COMPLETED,), (I.SEND_PROVISIONAL, I.SEND_SUCCESS, I.SEND_FAILURE))
    | {(S.TRYING, I.RECEIVE_REQUEST)},
)
