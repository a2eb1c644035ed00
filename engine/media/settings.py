"""What a media worker is told at its start."""

from __future__ import annotations

import msgspec

from engine import logs


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    """Node and worker, e.g. "lab.media-1": the name of its chain. Letters, digits, "_", "-", single dots."""
    host: str
    """Address the RTP sockets are bound to, and that goes into SDP."""
    first_port: int
    last_port: int
    """Ports at the disposal of this worker, both included; used as even/odd pairs (RFC 3550 §11)."""
    prompts_folder: str
    """Holds LANGUAGE/SLUG.flac."""
    recordings_folder: str
    chain_heads: str
    """File of signed chain heads, kept outside the recordings folder."""
    chain_key: str
    """Ed25519 key that signs them; made on first use."""
    rtp_timeout_s: float = 45.0
    """Silence of an endpoint that should send, before it is told; 0: never."""
    log_level: logs.Level = "info"
    log_format: logs.Format = "text"
