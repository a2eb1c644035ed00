"""What the edge is told once, and what it asks for beside messages to be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from engine.edge.bindings import Binding
from engine.sip.digest_server import ALGORITHMS
from engine.sip.effects import Discarded, Send


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """Addresses are (host, port). Times in seconds."""

    realm: str
    addresses: Mapping[str, tuple[str, int]]
    """Transport → where phones and engine reach us by it; "udp" is always there."""
    bound: Mapping[str, tuple[str, int]]
    """Transport → where our socket is bound, which a wildcard or an address translation makes differ."""
    engine: tuple[str, int]
    engines: frozenset[tuple[str, int]] = frozenset()
    """Where the engine's workers listen, beside `engine`.

    What comes from there is the engine's and is believed; a phone's requests in a dialog go nowhere else.
    """
    key: bytes = field(default=b"", repr=False)
    """Signs flow tokens; the same after a restart, or dialogs that are up lose their way."""
    boot: int = 1
    """Grows with each start: connections of an earlier one are gone."""
    min_expires_s: int = 60
    default_expires_s: int = 3600
    max_expires_s: int = 7200
    most_bindings: int = 10
    """For one user; the least recently refreshed makes room."""
    flow_timer_s: int = 120
    """After so long without a keep-alive a connection is given up (RFC 5626 §5.4)."""
    registered_pass: bool = False
    """Take a request from the very UDP address of a binding without a challenge; connections always are."""
    algorithms: Sequence[str] = ALGORITHMS
    """Of the digest, in the order in which they are offered."""
    without_qop: bool = False
    """Take answers to a challenge in the form of RFC 2069, each nonce once."""
    timer_c_s: float = 185.0
    guesses: int = 10
    """Wrong passwords within `guess_window_s` that ban a source; more of them shut a user to strange ones."""
    guess_window_s: float = 300.0
    ban_s: float = 600.0


class BindingSaved(msgspec.Struct, frozen=True):
    """A binding is new, or replaces the one that is the same (`Binding.is_same`)."""

    binding: Binding


class BindingRemoved(msgspec.Struct, frozen=True):
    """A binding was taken back, expired, or lost its connection."""

    binding: Binding


class SourceBanned(msgspec.Struct, frozen=True):
    """Too many wrong passwords from there; it is not listened to for so long, but for emergency calls."""

    source: str
    seconds: float


EdgeEffect = Send | Discarded | BindingSaved | BindingRemoved | SourceBanned
