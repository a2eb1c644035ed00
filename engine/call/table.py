"""The call's state machine as a table: one row per arrow.

A call prepares (popups, media ports), may play an announcement to the caller, rings the callee, may warn
the callee alone, gives the recording notice, and connects. The same table moves a dissuasion call, whose
calling leg is the agent and joins when the victim has answered.

Every pair of state and input is in exactly one of `TABLE`, `IGNORED` (it may happen, and changes nothing)
and `IMPOSSIBLE` (it is an error of ours, told as an alarm); a test demands it.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final, NamedTuple

from engine.model.outcome import Blame


@unique
class State(StrEnum):
    PREPARING = "preparing"
    """The verdict is known; popups are under way, media ports being opened."""
    ANNOUNCING = "announcing"
    """The caller hears an announcement in early media."""
    ROUTING = "routed"
    """The INVITE to the callee has left, by one hop after another; told by `calling`, with the trunk."""
    RINGING = "ringing"
    WARNING = "warning"
    """The callee has answered and hears the warning alone; the caller hears ringback."""
    ATTACHING = "attaching"
    """The victim of a dissuasion call has answered, the agent is being called."""
    NOTICE = "notice"
    """Both hear that the call is recorded; nothing is captured yet."""
    CONNECTED = "connected"
    TRANSFERRING = "transferring"
    """One side is being put through to somebody else; both still have each other."""
    ENDING = "ending"
    """The outcome is known; BYE, CANCEL or a final response is under way."""
    ENDED = "ended"


@unique
class Input(StrEnum):
    READY_ROUTE = "popups delivered or given up, media ports open; next: call the callee"
    READY_ANNOUNCE = "the same; next: an announcement to the caller"
    ANNOUNCED_PAUSE = "the announcement is over; the subscriber may hang up"
    ANNOUNCED_ROUTE = "the pause after the announcement is over; next: call the callee"
    ANNOUNCED_REJECT = "the announcement is over; next: reject"
    CALLEE_RINGING = "180 from the callee"
    CALLEE_EARLY_MEDIA = "18x with a session description"
    ANSWERED_CONNECT = "2xx from the callee; nothing to say first"
    ANSWERED_NOTICE = "2xx from the callee; the call is recorded"
    ANSWERED_WARN = "2xx from the callee, who must hear the warning"
    ANSWERED_AGENT = "2xx from the victim of a dissuasion call"
    HOP_FAILED = "a final response that lets the next hop be tried, or none; and there is a next hop"
    HOP_SILENT = "not one response from the hop in time, and there is another"
    REDIRECTED = "3xx from the callee, with a contact that can be followed"
    TARGET_ALLOWED = "screening lets the call go on to where it was redirected"
    CALLEE_REFUSED = "final response from the callee, or none in time"
    CALLEE_GONE = "BYE from the callee"
    CALLER_CANCELLED = "CANCEL from the caller"
    CALLER_GONE = "BYE from the caller (or the agent)"
    CALLER_FAILED = "no PRACK from the caller for a reliable 18x (RFC 3262 §3)"
    CALLER_REFUSED = "the agent did not answer"
    CALLER_ANSWERED = "the agent answered"
    ANSWER_TAKEN = "the ACK brought the answer to the offer in our 2xx"
    WARNED = "the callee has heard the warning"
    KEY_ACCEPT_NOTICE = "the callee pressed 1; the call is recorded"
    KEY_ACCEPT_CONNECT = "the callee pressed 1; the call is not recorded"
    KEY_REFUSE = "the callee pressed 2"
    KEY_TIMEOUT = "no key in time"
    NOTICE_PLAYED = "both have heard the notice"
    NOTICE_GIVEN = "the agent has said that the call is recorded"
    OFFERED = "re-INVITE, UPDATE or PRACK with an offer, from either side"
    REFERRED = "REFER from a side that may (RFC 3515)"
    REFERRER_GONE = "the side that sent REFER has said BYE"
    TRANSFER_ANSWERED = "2xx from whom it named"
    TRANSFER_ANSWERED_NOTICE = "the same; the call is recorded"
    TRANSFER_FAILED = "no 2xx from whom it named"
    TRANSFER_LOST = "the same, and the side that sent REFER is gone"
    REPLACED = "INVITE with Replaces for one of our legs (RFC 3891)"
    TAKEN = "another call has taken one side"
    NO_ANSWER = "the callee rang too long, or the agent"
    CALLER_ACK_MISSING = "no ACK from the caller for our 2xx in 64*T1 (RFC 3261 §13.3.1.4)"
    CALLEE_ACK_MISSING = "the same of the callee, whose re-INVITE we had answered"
    RTP_TIMEOUT = "an anchored leg sends nothing any more"
    PEER_LOST = "a peer does not know its dialog any more, or shows no sign of life (RFC 4028 §10, RFC 5057)"
    MEDIA_FAILED = "no port, or the media worker is gone"
    MEDIA_FAILED_REJECT = "no port, or no worker, for the announcement of a reject"
    MEDIA_FAILED_AGENT = "no port, or no worker, for a dissuasion call"
    PROMPT_FAILED = "a prompt cannot be played"
    UNACCEPTABLE = "a session description that cannot be used"
    UNACCEPTABLE_REJECT = "no description to announce a reject to"
    END_REQUESTED = "told to end: command or shutdown"
    LEGS_ENDED = "no leg has anything open"


class End(NamedTuple):
    """How a row ends the call: outcome, and the status for a caller who has no answer yet."""

    blame: Blame
    reason: str
    status: int


class Row(NamedTuple):
    state: State
    actions: tuple[str, ...] = ()
    end: End | None = None


S, I = State, Input  # noqa: E741 (a table is read by its columns)

_NO_MEDIA = End(Blame.ENGINE, "media_failed", 503)
_CANCELLED = End(Blame.CALLER, "cancelled", 487)
_UNACKNOWLEDGED = End(Blame.CALLER, "ack_missing", 504)
_STOPPED = End(Blame.ENGINE, "shutdown", 503)
_UNACCEPTABLE = End(Blame.UPSTREAM, "not_acceptable", 488)
_HUNG_UP_BY_CALLER = End(Blame.CALLER, "hung_up", 487)
_HUNG_UP_BY_CALLEE = End(Blame.CALLEE, "hung_up", 480)
_LOST = End(Blame.UPSTREAM, "timeout", 480)
_REJECTED = End(Blame.POLICY, "rejected", 608)

TABLE: Final[dict[tuple[State, Input], Row]] = {
    (S.PREPARING, I.READY_ROUTE): Row(S.ROUTING, ("invite_callee",)),
    (S.PREPARING, I.READY_ANNOUNCE): Row(S.ANNOUNCING, ("announce",)),
    (S.PREPARING, I.CALLER_CANCELLED): Row(S.ENDING, (), _CANCELLED),
    # a call that was to be warned or recorded is not put through without (emergency calls need no media)
    (S.PREPARING, I.MEDIA_FAILED): Row(S.ENDING, (), _NO_MEDIA),
    (S.PREPARING, I.MEDIA_FAILED_REJECT): Row(S.ENDING, (), _REJECTED),
    (S.PREPARING, I.MEDIA_FAILED_AGENT): Row(S.ENDING, (), _NO_MEDIA),
    (S.PREPARING, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    # RFC 8688 §3.4 for rejects; the warning on dial for subscribers who call a risky number
    (S.ANNOUNCING, I.ANNOUNCED_PAUSE): Row(S.ANNOUNCING, ("await_hang_up",)),
    (S.ANNOUNCING, I.ANNOUNCED_ROUTE): Row(S.ROUTING, ("invite_callee",)),
    (S.ANNOUNCING, I.ANNOUNCED_REJECT): Row(S.ENDING, (), _REJECTED),
    (S.ANNOUNCING, I.CALLER_CANCELLED): Row(S.ENDING, ("end_announced",)),
    (S.ANNOUNCING, I.MEDIA_FAILED): Row(S.ENDING, (), _NO_MEDIA),
    (S.ANNOUNCING, I.MEDIA_FAILED_REJECT): Row(S.ENDING, (), _REJECTED),
    (S.ANNOUNCING, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.ANNOUNCING, I.UNACCEPTABLE_REJECT): Row(S.ENDING, (), _REJECTED),
    (S.ANNOUNCING, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    # calling the callee: fail-over (RFC 3261 §16.7 step 8, RFC 3263 §4.3), and redirection (§8.1.3.4)
    (S.ROUTING, I.HOP_FAILED): Row(S.ROUTING, ("invite_next",)),
    (S.ROUTING, I.HOP_SILENT): Row(S.ROUTING, ("leave_hop", "invite_next")),
    (S.ROUTING, I.REDIRECTED): Row(S.ROUTING, ("invite_next",)),
    (S.RINGING, I.REDIRECTED): Row(S.ROUTING, ("invite_next",)),
    (S.ROUTING, I.TARGET_ALLOWED): Row(S.ROUTING, ("invite_next",)),
    # calling the callee
    (S.ROUTING, I.CALLEE_RINGING): Row(S.RINGING, ("ring_caller",)),
    (S.ROUTING, I.CALLEE_EARLY_MEDIA): Row(S.RINGING, ("early_media_to_caller",)),
    (S.RINGING, I.CALLEE_RINGING): Row(S.RINGING, ("ring_caller",)),
    (S.RINGING, I.CALLEE_EARLY_MEDIA): Row(S.RINGING, ("early_media_to_caller",)),
    (S.ROUTING, I.ANSWERED_CONNECT): Row(S.CONNECTED, ("take_answer", "answer_caller", "connect")),
    (S.RINGING, I.ANSWERED_CONNECT): Row(S.CONNECTED, ("take_answer", "answer_caller", "connect")),
    (S.ROUTING, I.ANSWERED_NOTICE): Row(S.NOTICE, ("take_answer", "answer_caller", "play_notice")),
    (S.RINGING, I.ANSWERED_NOTICE): Row(S.NOTICE, ("take_answer", "answer_caller", "play_notice")),
    (S.ROUTING, I.ANSWERED_WARN): Row(S.WARNING, ("take_answer", "ring_caller", "warn_callee")),
    (S.RINGING, I.ANSWERED_WARN): Row(S.WARNING, ("take_answer", "warn_callee")),
    (S.ROUTING, I.ANSWERED_AGENT): Row(S.ATTACHING, ("take_answer", "invite_agent")),
    (S.RINGING, I.ANSWERED_AGENT): Row(S.ATTACHING, ("take_answer", "invite_agent")),
    (S.ROUTING, I.CALLEE_REFUSED): Row(S.ENDING, ("end_refused",)),
    (S.RINGING, I.CALLEE_REFUSED): Row(S.ENDING, ("end_refused",)),
    (S.ROUTING, I.CALLER_CANCELLED): Row(S.ENDING, (), _CANCELLED),
    (S.RINGING, I.CALLER_CANCELLED): Row(S.ENDING, (), _CANCELLED),
    (S.ANNOUNCING, I.CALLER_FAILED): Row(S.ENDING, (), _UNACKNOWLEDGED),
    (S.ROUTING, I.CALLER_FAILED): Row(S.ENDING, (), _UNACKNOWLEDGED),
    (S.RINGING, I.CALLER_FAILED): Row(S.ENDING, (), _UNACKNOWLEDGED),
    (S.WARNING, I.CALLER_FAILED): Row(S.ENDING, (), _UNACKNOWLEDGED),
    (S.ROUTING, I.NO_ANSWER): Row(S.ENDING, (), End(Blame.UPSTREAM, "no_answer", 480)),
    (S.RINGING, I.NO_ANSWER): Row(S.ENDING, (), End(Blame.CALLEE, "no_answer", 480)),
    (S.ROUTING, I.MEDIA_FAILED): Row(S.ENDING, (), _NO_MEDIA),
    (S.RINGING, I.MEDIA_FAILED): Row(S.ENDING, (), _NO_MEDIA),
    (S.ROUTING, I.MEDIA_FAILED_AGENT): Row(S.ENDING, (), _NO_MEDIA),
    (S.RINGING, I.MEDIA_FAILED_AGENT): Row(S.ENDING, (), _NO_MEDIA),
    (S.ROUTING, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.RINGING, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.ROUTING, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    (S.RINGING, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    # offers before the answer (RFC 3311, RFC 3262 §5)
    (S.ANNOUNCING, I.OFFERED): Row(S.ANNOUNCING, ("answer_early_offer",)),
    (S.ROUTING, I.OFFERED): Row(S.ROUTING, ("answer_early_offer",)),
    (S.RINGING, I.OFFERED): Row(S.RINGING, ("answer_early_offer",)),
    # the spoken warning: 607 is the callee's own refusal (RFC 8197)
    (S.WARNING, I.WARNED): Row(S.WARNING, ("await_key",)),
    (S.WARNING, I.KEY_ACCEPT_NOTICE): Row(S.NOTICE, ("stop_warning", "answer_caller", "play_notice")),
    (S.WARNING, I.KEY_ACCEPT_CONNECT): Row(S.CONNECTED, ("stop_warning", "answer_caller", "connect")),
    (S.WARNING, I.KEY_REFUSE): Row(S.ENDING, (), End(Blame.CALLEE, "warning_refused", 607)),
    (S.WARNING, I.KEY_TIMEOUT): Row(S.ENDING, (), End(Blame.CALLEE, "warning_unanswered", 480)),
    (S.WARNING, I.CALLEE_GONE): Row(S.ENDING, (), End(Blame.CALLEE, "warning_hung_up", 480)),
    (S.WARNING, I.PEER_LOST): Row(S.ENDING, (), _LOST),
    (S.WARNING, I.CALLER_CANCELLED): Row(S.ENDING, (), _CANCELLED),
    (S.WARNING, I.OFFERED): Row(S.WARNING, ("refuse_offer",)),
    (S.WARNING, I.RTP_TIMEOUT): Row(S.ENDING, (), End(Blame.CALLEE, "rtp_timeout", 480)),
    # a warning that cannot be spoken must not cost the call: it is connected as a labelled one
    (S.WARNING, I.PROMPT_FAILED): Row(S.CONNECTED, ("stop_warning", "answer_caller", "connect")),
    (S.WARNING, I.MEDIA_FAILED): Row(S.ENDING, (), _NO_MEDIA),
    (S.WARNING, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.WARNING, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    # the agent of a dissuasion call
    (S.ATTACHING, I.CALLER_ANSWERED): Row(S.CONNECTED, ("take_agent", "connect")),
    (S.ATTACHING, I.CALLER_REFUSED): Row(S.ENDING, (), End(Blame.ENGINE, "failed", 0)),
    (S.ATTACHING, I.NO_ANSWER): Row(S.ENDING, (), End(Blame.ENGINE, "failed", 0)),
    (S.ATTACHING, I.CALLEE_GONE): Row(S.ENDING, (), _HUNG_UP_BY_CALLEE),
    (S.ATTACHING, I.PEER_LOST): Row(S.ENDING, (), _LOST),
    (S.ATTACHING, I.OFFERED): Row(S.ATTACHING, ("refuse_offer",)),
    (S.ATTACHING, I.RTP_TIMEOUT): Row(S.ENDING, (), End(Blame.CALLEE, "rtp_timeout", 0)),
    (S.ATTACHING, I.MEDIA_FAILED_AGENT): Row(S.ENDING, (), _NO_MEDIA),
    (S.ATTACHING, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.ATTACHING, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    # the notice, then capture
    (S.NOTICE, I.ANSWER_TAKEN): Row(S.NOTICE, ("play_notice",)),
    (S.NOTICE, I.NOTICE_PLAYED): Row(S.CONNECTED, ("capture", "connect")),
    (S.NOTICE, I.CALLER_GONE): Row(S.ENDING, (), _HUNG_UP_BY_CALLER),
    (S.NOTICE, I.CALLEE_GONE): Row(S.ENDING, (), _HUNG_UP_BY_CALLEE),
    (S.NOTICE, I.PEER_LOST): Row(S.ENDING, (), _LOST),
    (S.NOTICE, I.OFFERED): Row(S.NOTICE, ("refuse_offer",)),
    (S.NOTICE, I.CALLER_ACK_MISSING): Row(S.ENDING, (), End(Blame.CALLER, "ack_missing", 0)),
    (S.NOTICE, I.RTP_TIMEOUT): Row(S.ENDING, (), End(Blame.UPSTREAM, "rtp_timeout", 0)),
    # without a notice there is no recording: the call goes on unrecorded
    (S.NOTICE, I.PROMPT_FAILED): Row(S.CONNECTED, ("connect",)),
    (S.NOTICE, I.MEDIA_FAILED): Row(S.ENDING, (), _NO_MEDIA),
    (S.NOTICE, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.NOTICE, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    (S.CONNECTED, I.NOTICE_GIVEN): Row(S.CONNECTED, ("capture",)),
    (S.CONNECTED, I.CALLER_GONE): Row(S.ENDING, (), _HUNG_UP_BY_CALLER),
    (S.CONNECTED, I.CALLEE_GONE): Row(S.ENDING, (), _HUNG_UP_BY_CALLEE),
    (S.CONNECTED, I.OFFERED): Row(S.CONNECTED, ("pass_offer",)),
    (S.CONNECTED, I.CALLER_ACK_MISSING): Row(S.ENDING, (), End(Blame.CALLER, "ack_missing", 0)),
    (S.CONNECTED, I.CALLEE_ACK_MISSING): Row(S.ENDING, (), End(Blame.CALLEE, "ack_missing", 0)),
    (S.CONNECTED, I.RTP_TIMEOUT): Row(S.ENDING, (), End(Blame.UPSTREAM, "rtp_timeout", 0)),
    (S.CONNECTED, I.PEER_LOST): Row(S.ENDING, (), _LOST),
    (S.CONNECTED, I.MEDIA_FAILED): Row(S.ENDING, (), _NO_MEDIA),
    (S.CONNECTED, I.MEDIA_FAILED_AGENT): Row(S.ENDING, (), _NO_MEDIA),
    (S.CONNECTED, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.CONNECTED, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    # a side goes to somebody else: RFC 3515, RFC 5589 §6 (blind) and §7 (attended), RFC 3891
    (S.CONNECTED, I.REFERRED): Row(S.TRANSFERRING, ("begin_transfer",)),
    (S.TRANSFERRING, I.REFERRER_GONE): Row(S.TRANSFERRING, ("release_referrer",)),
    (S.TRANSFERRING, I.TRANSFER_ANSWERED): Row(S.CONNECTED, ("complete_transfer",)),
    # who comes has not heard the notice
    (S.TRANSFERRING, I.TRANSFER_ANSWERED_NOTICE): Row(S.NOTICE, ("complete_transfer", "play_notice")),
    (S.TRANSFERRING, I.TRANSFER_FAILED): Row(S.CONNECTED, ("fail_transfer",)),
    (S.TRANSFERRING, I.TRANSFER_LOST): Row(S.ENDING, ("fail_transfer",), End(Blame.UPSTREAM, "failed", 0)),
    (S.TRANSFERRING, I.CALLER_GONE): Row(S.ENDING, ("drop_target",), _HUNG_UP_BY_CALLER),
    (S.TRANSFERRING, I.CALLEE_GONE): Row(S.ENDING, ("drop_target",), _HUNG_UP_BY_CALLEE),
    (S.TRANSFERRING, I.OFFERED): Row(S.TRANSFERRING, ("refuse_offer",)),
    (S.TRANSFERRING, I.CALLER_ACK_MISSING): Row(
        S.ENDING, ("drop_target",), End(Blame.CALLER, "ack_missing", 0)
    ),
    (S.TRANSFERRING, I.CALLEE_ACK_MISSING): Row(
        S.ENDING, ("drop_target",), End(Blame.CALLEE, "ack_missing", 0)
    ),
    (S.TRANSFERRING, I.PEER_LOST): Row(S.ENDING, ("drop_target",), _LOST),
    (S.TRANSFERRING, I.MEDIA_FAILED): Row(S.ENDING, ("drop_target",), _NO_MEDIA),
    (S.TRANSFERRING, I.UNACCEPTABLE): Row(S.ENDING, ("drop_target",), _UNACCEPTABLE),
    (S.TRANSFERRING, I.END_REQUESTED): Row(S.ENDING, ("drop_target",), _STOPPED),
    (S.CONNECTED, I.REPLACED): Row(S.CONNECTED, ("seat_newcomer",)),
    (S.CONNECTED, I.TAKEN): Row(S.ENDING, (), End(Blame.CALLEE, "transferred", 0)),
    (S.ENDING, I.OFFERED): Row(S.ENDING, ("refuse_offer",)),
    (S.ENDING, I.LEGS_ENDED): Row(S.ENDED, ("dispose",)),
}


def _pairs(states: tuple[State, ...], *inputs: Input) -> frozenset[tuple[State, Input]]:
    return frozenset((state, given) for state in states for given in inputs)


_BEFORE_ANSWER = (S.PREPARING, S.ANNOUNCING, S.ROUTING, S.RINGING)
_ANSWERED = (S.WARNING, S.ATTACHING, S.NOTICE, S.CONNECTED, S.TRANSFERRING)
_BUT_CONNECTED = tuple(state for state in State if state is not S.CONNECTED)
_BUT_TRANSFERRING = tuple(state for state in State if state is not S.TRANSFERRING)

IGNORED: Final[frozenset[tuple[State, Input]]] = frozenset().union(
    # A prompt's end, a key or a failure of the media worker crosses the end.
    _pairs((S.ENDING,), I.WARNED, I.NOTICE_PLAYED, I.PROMPT_FAILED, I.MEDIA_FAILED, I.MEDIA_FAILED_AGENT),
    _pairs((S.ENDING,), I.RTP_TIMEOUT, I.KEY_ACCEPT_NOTICE, I.KEY_ACCEPT_CONNECT, I.KEY_REFUSE),
    # So may what the legs tell: the final response to our CANCEL, the other side's BYE, no ACK for our 2xx.
    _pairs((S.ENDING,), I.CALLEE_REFUSED, I.CALLER_REFUSED, I.CALLEE_GONE, I.CALLER_GONE, I.NOTICE_GIVEN),
    _pairs((S.ENDING,), I.CALLER_ACK_MISSING, I.CALLEE_ACK_MISSING, I.END_REQUESTED),
    # The answer to our question crosses the end.
    _pairs((S.ENDING,), I.PEER_LOST),
    # Screening may take longer than the caller waits.
    _pairs((S.ENDING,), I.TARGET_ALLOWED),
    # The popup of a call that has ended already.
    _pairs((S.ENDED,), I.READY_ROUTE, I.READY_ANNOUNCE),
    # Keys mean something in the warning only; afterwards they are the other side's to hear.
    _pairs((S.NOTICE, S.CONNECTED, S.TRANSFERRING), I.KEY_ACCEPT_NOTICE, I.KEY_REFUSE),
    _pairs((S.CONNECTED, S.TRANSFERRING), I.KEY_ACCEPT_CONNECT),
    # One of the two notices could not be played: the call went on unrecorded, whatever becomes of the other.
    _pairs((S.CONNECTED, S.TRANSFERRING), I.NOTICE_PLAYED, I.PROMPT_FAILED),
    # Only the notice waits for it.
    _pairs((S.CONNECTED, S.TRANSFERRING), I.ANSWER_TAKEN),
    # Nobody has to send before the answer: a caller in early media may be silent.
    _pairs((S.ANNOUNCING, S.ROUTING, S.RINGING), I.RTP_TIMEOUT),
    # Who is put through is on hold meanwhile.
    _pairs((S.TRANSFERRING,), I.RTP_TIMEOUT),
)

IMPOSSIBLE: Final[frozenset[tuple[State, Input]]] = frozenset().union(
    # Preparing comes once and first, the announcement second, and its timer runs in that state alone. A call
    # that ends in either has nothing open, so that it has ended at once.
    _pairs((S.ANNOUNCING, S.ROUTING, S.RINGING, *_ANSWERED, S.ENDING), I.READY_ROUTE, I.READY_ANNOUNCE),
    _pairs((S.PREPARING, S.ROUTING, S.RINGING, *_ANSWERED, S.ENDING, S.ENDED), I.ANNOUNCED_PAUSE),
    _pairs((S.PREPARING, S.ROUTING, S.RINGING, *_ANSWERED, S.ENDING, S.ENDED), I.ANNOUNCED_REJECT),
    _pairs((S.PREPARING, S.ROUTING, S.RINGING, *_ANSWERED, S.ENDING, S.ENDED), I.ANNOUNCED_ROUTE),
    # The callee is called in ROUTING, gives one final response, and is not listened to after our CANCEL.
    _pairs((S.PREPARING, S.ANNOUNCING, *_ANSWERED, S.ENDING, S.ENDED), I.CALLEE_RINGING),
    _pairs((S.PREPARING, S.ANNOUNCING, *_ANSWERED, S.ENDING, S.ENDED), I.CALLEE_EARLY_MEDIA),
    _pairs((S.PREPARING, S.ANNOUNCING, *_ANSWERED, S.ENDING, S.ENDED), I.ANSWERED_CONNECT, I.ANSWERED_NOTICE),
    _pairs((S.PREPARING, S.ANNOUNCING, *_ANSWERED, S.ENDING, S.ENDED), I.ANSWERED_WARN, I.ANSWERED_AGENT),
    _pairs((S.PREPARING, S.ANNOUNCING, *_ANSWERED, S.ENDED), I.CALLEE_REFUSED),
    # One hop after another in ROUTING alone: once it rings somewhere, that is where the call is.
    _pairs((S.PREPARING, S.ANNOUNCING, S.RINGING, *_ANSWERED, S.ENDING, S.ENDED), I.HOP_FAILED, I.HOP_SILENT),
    _pairs((S.PREPARING, S.ANNOUNCING, *_ANSWERED, S.ENDING, S.ENDED), I.REDIRECTED),
    _pairs((S.PREPARING, S.ANNOUNCING, S.RINGING, *_ANSWERED, S.ENDED), I.TARGET_ALLOWED),
    _pairs((S.PREPARING, S.ANNOUNCING, S.WARNING, S.NOTICE, S.CONNECTED, S.ENDING, S.ENDED), I.NO_ANSWER),
    _pairs((S.TRANSFERRING,), I.NO_ANSWER, I.WARNED, I.KEY_TIMEOUT, I.NOTICE_GIVEN, I.MEDIA_FAILED_AGENT),
    _pairs((S.TRANSFERRING,), I.CALLER_REFUSED, I.CALLER_ANSWERED, I.CALLER_CANCELLED, I.CALLER_FAILED),
    # Asked for in CONNECTED alone, where nothing else is under way; told while it is.
    _pairs(_BUT_CONNECTED, I.REFERRED, I.REPLACED, I.TAKEN),
    _pairs(_BUT_TRANSFERRING, I.REFERRER_GONE, I.TRANSFER_ANSWERED, I.TRANSFER_ANSWERED_NOTICE),
    _pairs(_BUT_TRANSFERRING, I.TRANSFER_FAILED, I.TRANSFER_LOST),
    # The agent is called in ATTACHING, likewise.
    _pairs((*_BEFORE_ANSWER, S.WARNING, S.NOTICE, S.CONNECTED, S.ENDED), I.CALLER_REFUSED),
    _pairs((*_BEFORE_ANSWER, S.WARNING, S.NOTICE, S.CONNECTED, S.ENDING, S.ENDED), I.CALLER_ANSWERED),
    _pairs((*_BEFORE_ANSWER, S.WARNING, S.ATTACHING, S.NOTICE, S.ENDED), I.NOTICE_GIVEN),
    # Without a dialog there is no BYE, no re-INVITE, no ACK to wait for; with one there is no CANCEL.
    _pairs((*_BEFORE_ANSWER, S.ENDED), I.CALLEE_GONE, I.PEER_LOST),
    _pairs((*_BEFORE_ANSWER, S.WARNING, S.ATTACHING, S.ENDED), I.CALLER_GONE),
    _pairs((S.PREPARING, S.ENDED), I.OFFERED),
    _pairs((*_BEFORE_ANSWER, S.WARNING, S.ATTACHING, S.ENDED), I.CALLER_ACK_MISSING),
    _pairs((*_BEFORE_ANSWER, S.WARNING, S.ATTACHING, S.NOTICE, S.ENDED), I.CALLEE_ACK_MISSING),
    _pairs((*_BEFORE_ANSWER, S.WARNING, S.ATTACHING, S.ENDING, S.ENDED), I.ANSWER_TAKEN),
    _pairs((S.ATTACHING, S.NOTICE, S.CONNECTED, S.ENDING, S.ENDED), I.CALLER_CANCELLED),
    _pairs((S.PREPARING, S.ATTACHING, S.NOTICE, S.CONNECTED, S.ENDING, S.ENDED), I.CALLER_FAILED),
    # Before WARNING the callee has nowhere to send keys to; prompts and timers are stopped on leaving it.
    _pairs((*_BEFORE_ANSWER, S.ATTACHING, S.ENDED), I.KEY_ACCEPT_NOTICE, I.KEY_ACCEPT_CONNECT, I.KEY_REFUSE),
    _pairs((S.NOTICE,), I.KEY_ACCEPT_CONNECT),
    _pairs((*_BEFORE_ANSWER, S.ATTACHING, S.NOTICE, S.CONNECTED, S.ENDED), I.WARNED),
    _pairs((*_BEFORE_ANSWER, S.ATTACHING, S.NOTICE, S.CONNECTED, S.ENDING, S.ENDED), I.KEY_TIMEOUT),
    _pairs((*_BEFORE_ANSWER, S.WARNING, S.ATTACHING, S.ENDED), I.NOTICE_PLAYED),
    _pairs((*_BEFORE_ANSWER, S.ATTACHING, S.ENDED), I.PROMPT_FAILED),
    # The plan decides which of the three it is, and the session is closed with the call.
    _pairs((S.ROUTING, S.RINGING, *_ANSWERED, S.ENDING, S.ENDED), I.MEDIA_FAILED_REJECT),
    _pairs((S.ANNOUNCING, S.WARNING, S.NOTICE, S.ENDED), I.MEDIA_FAILED_AGENT),
    _pairs((S.ATTACHING, S.ENDED), I.MEDIA_FAILED),
    _pairs((S.PREPARING, S.ENDED), I.RTP_TIMEOUT),
    # Descriptions are looked at from the announcement on, and not after the end.
    _pairs((S.PREPARING, S.ENDING, S.ENDED), I.UNACCEPTABLE),
    _pairs(tuple(state for state in State if state is not S.ANNOUNCING), I.UNACCEPTABLE_REJECT),
    # Asked only where it may hold; a call that has ended is not found.
    _pairs(tuple(state for state in State if state is not S.ENDING), I.LEGS_ENDED),
    _pairs((S.ENDED,), I.END_REQUESTED),
)
