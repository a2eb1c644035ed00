"""The call's state machine as a table: one row per arrow.

A call prepares (popups, media ports), may play an announcement to the caller, rings the callee, may warn
the callee alone, gives the recording notice, and connects. The same table moves a dissuasion call, whose
calling leg is the agent and joins when the victim has answered.

Every pair of state and input is either in `TABLE` or in `IGNORED`; a test demands it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from engine.model.outcome import Blame


class State(Enum):
    PREPARING = "preparing"
    """The verdict is known; popups are under way, media ports being opened."""
    ANNOUNCING = "announcing"
    """The caller hears an announcement in early media."""
    ROUTING = "routed"
    """The INVITE to the callee has left."""
    RINGING = "ringing"
    WARNING = "warning"
    """The callee has answered and hears the warning alone; the caller hears ringback."""
    ATTACHING = "attaching"
    """The victim of a dissuasion call has answered, the agent is being called."""
    NOTICE = "notice"
    """Both hear that the call is recorded; nothing is captured yet."""
    CONNECTED = "connected"
    ENDING = "ending"
    """The outcome is known; BYE, CANCEL or a final response is under way."""
    ENDED = "ended"


class Input(Enum):
    READY_ROUTE = "popups delivered or given up, media ports open; next: call the callee"
    READY_ANNOUNCE = "the same; next: an announcement to the caller"
    ANNOUNCED_ROUTE = "the announcement is over; next: call the callee"
    ANNOUNCED_REJECT = "the announcement is over; next: reject"
    CALLEE_RINGING = "180 from the callee"
    CALLEE_EARLY_MEDIA = "18x with a session description"
    ANSWERED_CONNECT = "2xx from the callee; nothing to say first"
    ANSWERED_NOTICE = "2xx from the callee; the call is recorded"
    ANSWERED_WARN = "2xx from the callee, who must hear the warning"
    ANSWERED_AGENT = "2xx from the victim of a dissuasion call"
    CALLEE_REFUSED = "final response from the callee, or none in time"
    CALLEE_GONE = "BYE from the callee"
    CALLER_CANCELLED = "CANCEL from the caller"
    CALLER_GONE = "BYE from the caller (or the agent)"
    CALLER_REFUSED = "the agent did not answer"
    CALLER_ANSWERED = "the agent answered"
    KEY_ACCEPT_NOTICE = "the callee pressed 1; the call is recorded"
    KEY_ACCEPT_CONNECT = "the callee pressed 1; the call is not recorded"
    KEY_REFUSE = "the callee pressed 2"
    KEY_TIMEOUT = "no key in time"
    NOTICE_PLAYED = "both have heard the notice"
    OFFERED = "re-INVITE from either side"
    NO_ANSWER = "the callee rang too long"
    ACK_MISSING = "no ACK for our 2xx in 64*T1 (RFC 3261 §13.3.1.4)"
    RTP_TIMEOUT = "an anchored leg sends nothing any more"
    MEDIA_FAILED = "no port, or the media worker is gone"
    PROMPT_FAILED = "a prompt cannot be played"
    UNACCEPTABLE = "a session description that cannot be used"
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
_STOPPED = End(Blame.ENGINE, "shutdown", 503)
_UNACCEPTABLE = End(Blame.UPSTREAM, "not_acceptable", 488)
_HUNG_UP_BY_CALLER = End(Blame.CALLER, "hung_up", 487)
_HUNG_UP_BY_CALLEE = End(Blame.CALLEE, "hung_up", 480)
_REJECTED = End(Blame.POLICY, "rejected", 608)

TABLE: Final[dict[tuple[State, Input], Row]] = {
    (S.PREPARING, I.READY_ROUTE): Row(S.ROUTING, ("invite_callee",)),
    (S.PREPARING, I.READY_ANNOUNCE): Row(S.ANNOUNCING, ("announce",)),
    (S.PREPARING, I.CALLER_CANCELLED): Row(S.ENDING, (), _CANCELLED),
    (S.PREPARING, I.MEDIA_FAILED): Row(S.ENDING, ("end_without_media",)),
    (S.PREPARING, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.PREPARING, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    # RFC 8688 §3.4 for rejects; the warning on dial for subscribers who call a risky number
    (S.ANNOUNCING, I.ANNOUNCED_ROUTE): Row(S.ROUTING, ("invite_callee",)),
    (S.ANNOUNCING, I.ANNOUNCED_REJECT): Row(S.ENDING, (), _REJECTED),
    (S.ANNOUNCING, I.CALLER_CANCELLED): Row(S.ENDING, ("end_announced",)),
    (S.ANNOUNCING, I.MEDIA_FAILED): Row(S.ENDING, ("end_without_media",)),
    (S.ANNOUNCING, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.ANNOUNCING, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
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
    (S.ROUTING, I.NO_ANSWER): Row(S.ENDING, (), End(Blame.UPSTREAM, "no_answer", 480)),
    (S.RINGING, I.NO_ANSWER): Row(S.ENDING, (), End(Blame.CALLEE, "no_answer", 480)),
    (S.ROUTING, I.MEDIA_FAILED): Row(S.ENDING, (), _NO_MEDIA),
    (S.RINGING, I.MEDIA_FAILED): Row(S.ENDING, (), _NO_MEDIA),
    (S.ROUTING, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.RINGING, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.ROUTING, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    (S.RINGING, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    # the spoken warning: 607 is the callee's own refusal (RFC 8197)
    (S.WARNING, I.KEY_ACCEPT_NOTICE): Row(S.NOTICE, ("stop_warning", "answer_caller", "play_notice")),
    (S.WARNING, I.KEY_ACCEPT_CONNECT): Row(S.CONNECTED, ("stop_warning", "answer_caller", "connect")),
    (S.WARNING, I.KEY_REFUSE): Row(S.ENDING, (), End(Blame.CALLEE, "warning_refused", 607)),
    (S.WARNING, I.KEY_TIMEOUT): Row(S.ENDING, (), End(Blame.CALLEE, "warning_unanswered", 480)),
    (S.WARNING, I.CALLEE_GONE): Row(S.ENDING, (), End(Blame.CALLEE, "warning_hung_up", 480)),
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
    (S.ATTACHING, I.CALLEE_GONE): Row(S.ENDING, (), _HUNG_UP_BY_CALLEE),
    (S.ATTACHING, I.OFFERED): Row(S.ATTACHING, ("refuse_offer",)),
    (S.ATTACHING, I.RTP_TIMEOUT): Row(S.ENDING, (), End(Blame.CALLEE, "rtp_timeout", 0)),
    (S.ATTACHING, I.MEDIA_FAILED): Row(S.ENDING, (), _NO_MEDIA),
    (S.ATTACHING, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.ATTACHING, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    # the notice, then capture
    (S.NOTICE, I.NOTICE_PLAYED): Row(S.CONNECTED, ("capture", "connect")),
    (S.NOTICE, I.CALLER_GONE): Row(S.ENDING, (), _HUNG_UP_BY_CALLER),
    (S.NOTICE, I.CALLEE_GONE): Row(S.ENDING, (), _HUNG_UP_BY_CALLEE),
    (S.NOTICE, I.OFFERED): Row(S.NOTICE, ("refuse_offer",)),
    (S.NOTICE, I.ACK_MISSING): Row(S.ENDING, (), End(Blame.CALLER, "ack_missing", 0)),
    (S.NOTICE, I.RTP_TIMEOUT): Row(S.ENDING, (), End(Blame.UPSTREAM, "rtp_timeout", 0)),
    # without a notice there is no recording: the call goes on unrecorded
    (S.NOTICE, I.PROMPT_FAILED): Row(S.CONNECTED, ("connect",)),
    (S.NOTICE, I.MEDIA_FAILED): Row(S.ENDING, (), _NO_MEDIA),
    (S.NOTICE, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.NOTICE, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    (S.CONNECTED, I.CALLER_GONE): Row(S.ENDING, (), _HUNG_UP_BY_CALLER),
    (S.CONNECTED, I.CALLEE_GONE): Row(S.ENDING, (), _HUNG_UP_BY_CALLEE),
    (S.CONNECTED, I.OFFERED): Row(S.CONNECTED, ("pass_offer",)),
    (S.CONNECTED, I.ACK_MISSING): Row(S.ENDING, (), End(Blame.CALLER, "ack_missing", 0)),
    (S.CONNECTED, I.RTP_TIMEOUT): Row(S.ENDING, (), End(Blame.UPSTREAM, "rtp_timeout", 0)),
    (S.CONNECTED, I.MEDIA_FAILED): Row(S.ENDING, (), _NO_MEDIA),
    (S.CONNECTED, I.UNACCEPTABLE): Row(S.ENDING, (), _UNACCEPTABLE),
    (S.CONNECTED, I.END_REQUESTED): Row(S.ENDING, (), _STOPPED),
    (S.ENDING, I.OFFERED): Row(S.ENDING, ("refuse_offer",)),
    (S.ENDING, I.LEGS_ENDED): Row(S.ENDED, ("dispose",)),
}

IGNORED: Final[dict[Input, frozenset[State]]] = {
    # what comes late, or crosses an end that is already under way
    given: frozenset(state for state in State if (state, given) not in TABLE)
    for given in Input
}
