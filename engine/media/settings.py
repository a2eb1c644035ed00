"""What a media worker is told at its start."""

from __future__ import annotations

import msgspec


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    """Node and worker, e.g. "lab.media-1": names the worker's chain and its logs. Letters, digits, "-_."."""
    host: str
    """Address the RTP sockets are bound to, and that goes into SDP."""
    first_port: int
    last_port: int
    """Ports at the disposal of this worker, both included; used as even/odd pairs (RFC 3550 §11)."""
    prompts_folder: str
    """Holds LANGUAGE/SLUG.flac."""
    recordings_folder: str
    rtp_timeout_s: float = 30.0
    accept_any_source: bool = False
    """Lock to the first valid packet from any address (phones behind NAT), not only from the SDP's."""
