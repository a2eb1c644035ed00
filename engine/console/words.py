"""Words for the slugs of the engine: verdicts, levels, rules, reasons, stages, outcomes, popups, sources.

Values are message ids. A slug that is not here (a tenant's own reason, say) is shown as written, with
its underscores as spaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from engine.console.i18n import N_, Translator

Tone = Literal["red", "amber", "green", "blue", "grey"]

VERDICTS: Final[Mapping[str, str]] = {
    "allow": N_("Passed"),
    "label": N_("Labelled"),
    "warn": N_("Warned"),
    "challenge": N_("Challenged"),
    "monitor": N_("Monitored"),
    "divert": N_("Diverted"),
    "reject": N_("Blocked"),
    "protected": N_("Protected"),
    "dissuasion": N_("Advice call"),
    "": N_("Screening"),
}
ACTIONS: Final[Mapping[str, str]] = {
    "allow": N_("Pass"),
    "label": N_("Label"),
    "warn": N_("Warn"),
    "challenge": N_("Challenge"),
    "monitor": N_("Monitor"),
    "divert": N_("Divert"),
    "reject": N_("Block"),
    "": N_("By the policy"),
}
VERDICT_TONES: Final[Mapping[str, Tone]] = {
    "allow": "green",
    "label": "amber",
    "warn": "amber",
    "challenge": "amber",
    "monitor": "amber",
    "divert": "red",
    "reject": "red",
    "protected": "blue",
}

LEVELS: Final[Mapping[str, str]] = {"red": N_("Red"), "yellow": N_("Yellow"), "green": N_("Green")}
LEVEL_TONES: Final[Mapping[str, Tone]] = {"red": "red", "yellow": "amber", "green": "green"}

RULES: Final[Mapping[str, str]] = {
    "emergency": N_("Emergency and police numbers always pass"),
    "emergency_callback": N_("Call-back after an emergency call"),
    "public_service": N_("Proven call from a public service"),
    "order": N_("Ordered by a court or the police"),
    "operator_allow": N_("Allowed by the operator"),
    "screening_failed": N_("Default when screening could not finish"),
    "subscriber_block": N_("Blocked by the subscriber"),
    "subscriber_allow": N_("On the subscriber's allow list"),
    "no_rule": N_("No rule applied"),
    "caller_unauthorised": N_("Caller not authorised on the trunk"),
}
PROTECTED_RULES: Final = frozenset({"emergency", "emergency_callback", "public_service"})

REASONS: Final[Mapping[str, str]] = {
    **RULES,
    "clean": N_("Nothing known against the number"),
    "emergency": N_("Emergency or police number"),
    "public_service": N_("Public service, identity proven"),
    "police_list": N_("On the police list"),
    "court_order": N_("Court order"),
    "reported_fraud": N_("Reported for fraud"),
    "suspected_fraud": N_("Suspected fraud"),
    "nuisance": N_("Nuisance call"),
    "marketing": N_("Marketing"),
    "reported_by_subscribers": N_("Reported by subscribers"),
    "many_short_calls": N_("Many short calls"),
    "abnormal_traffic": N_("Unusual calling pattern"),
    "spoofed": N_("Official number without proof"),
    "spoofed_number": N_("The number shown is not the caller's"),
    "impersonation": N_("Poses as an authority"),
    "kill_switch": N_("Blocking is off: labelled instead"),
    "unconfirmed": N_("Block without expiry or confirmation: labelled instead"),
}

STAGES: Final[Mapping[str, str]] = {
    "": N_("Screening"),
    "preparing": N_("Preparing"),
    "routed": N_("Routed"),
    "ringing": N_("Ringing"),
    "warning": N_("Warning plays"),
    "accepted": N_("Warning accepted"),
    "notice": N_("Recording notice"),
    "connected": N_("Connected"),
    "transferring": N_("Being transferred"),
    "announcing": N_("Announcement plays"),
    "attaching": N_("Agent joins"),
    "unacceptable": N_("Unusable session description"),
    "ending": N_("Ending"),
    "ended": N_("Ended"),
}
STAGE_STEPS: Final[Mapping[str, int]] = {
    "": 0,
    "preparing": 0,
    "routed": 0,
    "ringing": 1,
    "warning": 2,
    "announcing": 2,
    "accepted": 2,
    "notice": 2,
    "connected": 3,
    "transferring": 3,
    "attaching": 2,
    "unacceptable": 0,
    "ending": 3,
    "ended": 4,
}

OUTCOMES: Final[Mapping[str, str]] = {
    "hung_up": N_("Hung up"),
    "rtp_timeout": N_("No more sound"),
    "cancelled": N_("Caller gave up"),
    "busy": N_("Busy"),
    "no_answer": N_("No answer"),
    "declined": N_("Declined"),
    "not_found": N_("No such number"),
    "failed": N_("Refused by the network"),
    "timeout": N_("Network did not respond"),
    "unreachable": N_("Network not reachable"),
    "not_acceptable": N_("No common codec"),
    "ack_missing": N_("Answer not acknowledged"),
    "rejected": N_("Blocked before ringing"),
    "warning_refused": N_("Refused after the warning"),
    "warning_unanswered": N_("No key pressed on the warning"),
    "warning_hung_up": N_("Hung up during the warning"),
    "transferred": N_("Transferred"),
    "dial_warning_heeded": N_("Warning heeded, not dialled"),
    "not_routed": N_("No trunk for this call"),
    "over_limit": N_("Trunk at its limit"),
    "media_failed": N_("Media failed"),
    "shutdown": N_("Engine stopped"),
    "internal": N_("Fault of the engine"),
}
BLAMES: Final[Mapping[str, str]] = {
    "caller": N_("by the caller"),
    "callee": N_("by the callee"),
    "policy": N_("by policy"),
    "upstream": N_("by the network"),
    "engine": N_("by the engine"),
}
DISSUASION_OUTCOMES: Final[Mapping[str, str]] = {
    "not_reached": N_("Not reached"),
    "busy": N_("Busy"),
    "machine": N_("Answering machine"),
    "screened": N_("Screened by the phone"),
    "already_safe": N_("Already safe"),
    "dissuaded": N_("Dissuaded"),
    "still_at_risk": N_("Still at risk"),
    "refused": N_("Refused to talk"),
    "transferred": N_("Passed to a person"),
    "wrong_person": N_("Wrong person"),
}

DIRECTIONS: Final[Mapping[str, str]] = {
    "inbound": N_("Incoming"),
    "outbound": N_("Outgoing"),
    "dissuasion": N_("Advice call"),
}
POPUPS: Final[Mapping[str, str]] = {
    "risk_label": N_("Suspicious call"),
    "risk_warn": N_("Risky call: a warning plays first"),
    "fraud_blocked": N_("A fraud call was blocked"),
    "dial_risk": N_("Risky number dialled"),
}
POPUP_TONES: Final[Mapping[str, Tone]] = {
    "risk_label": "amber",
    "risk_warn": "amber",
    "dial_risk": "amber",
    "fraud_blocked": "red",
}
SOURCES: Final[Mapping[str, str]] = {
    "court": N_("Court"),
    "police": N_("Police"),
    "operator": N_("Operator"),
    "person": N_("Person"),
    "import": N_("Imported file"),
    "partner": N_("Partner"),
    "model": N_("Model"),
}
CHANGES: Final[Mapping[str, str]] = {"add": N_("Added"), "change": N_("Changed"), "remove": N_("Removed")}
RISK_FIELDS: Final[Mapping[str, str]] = {
    "level": N_("Level"),
    "action": N_("Action"),
    "reason": N_("Reason"),
    "source": N_("Source"),
    "expires": N_("Expires"),
    "evidence": N_("Evidence"),
    "confirmed_by": N_("Confirmed by"),
}
DELIVERIES: Final[Mapping[str, str]] = {
    "acknowledged": N_("acknowledged"),
    "dropped": N_("not sent"),
    "limited": N_("too many of them, not sent"),
    "timeout": N_("timed out"),
    "off": N_("off"),
}
LANGUAGE_NAMES: Final[Mapping[str, str]] = {"en": N_("English"), "zh-CN": N_("Mandarin")}
CHANNELS: Final = (N_("Caller"), N_("Callee"))
TRANSCRIPT_STATES: Final[Mapping[str, str]] = {
    "new": N_("Queued"),
    "leased": N_("Being transcribed"),
    "done": N_("Transcribed"),
    "failed": N_("Failed"),
    "": N_("Not transcribed"),
}
ALARMS: Final[Mapping[str, str]] = {
    "media_failed": N_("The media worker failed: calls that need sound cannot be served."),
    "media_recovered": N_("The media worker serves calls again."),
    "media_ports_exhausted": N_("No media port is free: calls that need sound are refused."),
    "media_ports_free": N_("Media ports are free again."),
    "recording_failing": N_("Recordings cannot be stored: calls go on unrecorded."),
    "recording_recovered": N_("Recordings are stored again."),
    "journal_failing": N_("The journal cannot be written: calls go on, events wait in memory."),
    "journal_recovered": N_("The journal is written again."),
    "store_failing": N_("The store takes nothing: events wait in the journals."),
    "store_recovered": N_("The store takes events again."),
    "bus_down": N_("The broker cannot be reached: calls go on, pages hear of them late."),
    "bus_up": N_("The broker is reached again."),
    "events_lost": N_("Events were lost: the journal could not keep up or could not write."),
    "screening_failed": N_("Screening could not finish: the policy's default was applied."),
    "callbacks_not_kept": N_("Emergency calls are remembered until the next start only."),
    "switches_unreadable": N_("The kill switch's file cannot be read: it stays as it was."),
    "trunk_down": N_("No target of a trunk answers: calls are tried there only where there is no other way."),
    "trunk_up": N_("A trunk answers again."),
    "dns_failed": N_("The DNS does not answer: calls go on to the addresses known last."),
    "internal": N_("An error in the engine: please report it."),
    "hot_table_refused": N_("The changed hot table was not taken: its file cannot be used."),
    "policy_refused": N_("The changed policy was not taken; the old one stays in force."),
}
ALARM_TONES: Final[Mapping[str, Tone]] = {
    "trunk_up": "grey",
    "journal_recovered": "grey",
    "media_recovered": "grey",
    "media_ports_free": "grey",
    "recording_recovered": "grey",
    "store_recovered": "grey",
    "bus_up": "grey",
}


def word(words: Mapping[str, str], slug: str, t: Translator) -> str:
    """The words for a slug, or the slug made readable."""
    text = words.get(slug)
    return t(text) if text is not None else slug.replace("_", " ")
