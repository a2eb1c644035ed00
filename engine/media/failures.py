"""Why a command could not be carried out: the slugs of `MediaFailed.reason`."""

from __future__ import annotations

NO_PORTS = "no_ports"
"""The port range is used up."""
UNKNOWN_SESSION = "unknown_session"
SESSION_EXISTS = "session_exists"
UNKNOWN_ENDPOINT = "unknown_endpoint"
ENDPOINT_EXISTS = "endpoint_exists"
BAD_ADDRESS = "bad_address"
"""Not an IP address of the worker's family, or no port."""
UNSUPPORTED_CODEC = "unsupported_codec"
MISSING_PROMPT = "missing_prompt"
UNKNOWN_TONE = "unknown_tone"
UNKNOWN_PLAYBACK = "unknown_playback"
"""Already finished, perhaps."""
PLAYBACK_EXISTS = "playback_exists"
NO_TELEPHONE_EVENT = "no_telephone_event"
"""The leg has not negotiated RFC 4733, or the digits are none."""
UNKNOWN_RECORDING = "unknown_recording"
RECORDING_EXISTS = "recording_exists"
BAD_NAME = "bad_name"
"""A recording, tenant, call or number id that cannot be stored."""
DISK = "disk"
"""The recording could not be stored, or not whole; the call goes on."""
INTERNAL = "internal"
"""Our bug; the log has it."""
OVERLOAD = "overload"
"""The queue to the worker was full: told by the port."""
NO_WORKER = "no_worker"
"""There is no worker at the moment: told by the port."""


class CommandError(Exception):
    """A command that cannot be carried out."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
