"""Flood protection of one worker: buckets and bans, the kernel's filter, and who is spared.

What a source sends above its rate is dropped before anything is parsed; one that goes on is banned, and then
the kernel drops it. Trunks are throttled only, and calls to emergency numbers pass even then. Strangers need
no such exception: they cannot place calls at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote_to_bytes

from engine.call.sources import Source
from engine.runtime.bpf import Source as Banned
from engine.sip.flood import Flood, FloodLimits
from scoring.numbers import Numbering, is_emergency_uri

REMEMBERED_NUMBERS: Final = 4_096
MAX_SHORT_DIGITS: Final = 12
"""A short code with every prefix people put before it: no longer number is looked at."""

_TARGET: Final = re.compile(rb"INVITE (?:(?:sips?|tel):([^@:;>\s]{1,64})|(urn:[^\s;>]{1,64}))", re.IGNORECASE)
# Behind the INVITE, the number stands in To of what the caller sends and in From of what the callee does;
# answers of the callee's side repeat our To.
_PARTY: Final = re.compile(
    rb"\r\n(?:to|t|from|f)[ \t]*+:[^\r\n<]*+<?(?:(?:sips?|tel):([^@:;>\s]{1,64})|(urn:[^\s;>]{1,64}))",
    re.IGNORECASE,
)


class TrunkHosts:
    """The addresses that may be a trunk's, from whatever port; a container of texts."""

    def __init__(self, matches: Iterable[str]) -> None:
        networks = [source.network for text in matches for source in Source.parse(text)]
        self._single = {str(network.network_address) for network in networks if network.num_addresses == 1}
        self._wide = [network for network in networks if network.num_addresses > 1]

    def __contains__(self, host: object) -> bool:
        if host in self._single:
            return True
        if not self._wide:
            return False
        address = ip_address(str(host))
        return any(address in network for network in self._wide)


def emergency_calls(numbering: Numbering) -> Callable[[bytes], bool]:
    """Whether a message belongs to a call to a protected number, as far as its first lines say."""

    @lru_cache(REMEMBERED_NUMBERS)
    def is_protected(user: bytes) -> bool:
        text = unquote_to_bytes(user).decode("utf-8", "replace")
        digits = sum(character.isdigit() for character in text)
        return digits <= MAX_SHORT_DIGITS and numbering.normalise(text).protected

    def is_emergency(data: bytes) -> bool:
        found = [_TARGET.match(data)] if data.startswith(b"INVITE ") else _PARTY.finditer(data)
        return any(
            is_emergency_uri(match[2].decode("ascii", "replace")) if match[2] else is_protected(match[1])
            for match in found
            if match is not None
        )

    return is_emergency


class FloodGuard:
    """Asked about each message before it is read. `on_bans` gets all bans in force when they change."""

    def __init__(
        self,
        limits: FloodLimits,
        known: Container[str],
        is_emergency: Callable[[bytes], bool],
        on_bans: Callable[[list[Banned]], None],
    ) -> None:
        self._flood = Flood(limits, known.__contains__)
        self.within_limit = self._flood.admits
        """Counts one message of a host at a time; whether it is within its limit."""
        self._known = known
        self._is_emergency = is_emergency
        self._on_bans = on_bans
        self.spared = 0
        """Messages of emergency calls that passed above the limit."""

    def admits(self, data: bytes, host: str, now: float) -> bool:
        return self.within_limit(host, now) or self.spares(data, host)

    def spares(self, data: bytes, host: str) -> bool:
        """Whether a message that was above its source's limit is let in all the same."""
        if self._flood.changed:
            self._tell()
        if host in self._known and self._is_emergency(data):
            self.spared += 1
            return True
        return False

    def welcomes(self, host: str, now: float) -> bool:
        """Whether a connection from there is accepted."""
        return not self._flood.is_banned(host, now)

    def tick(self, now: float) -> None:
        """Let bans end; about once a second."""
        self._flood.expire(now)
        if self._flood.changed:
            self._tell()

    def counts(self) -> dict[str, int]:
        counts = self._flood.counts()
        return {**counts, "dropped": counts["dropped"] - self.spared, "spared": self.spared}

    def _tell(self) -> None:
        self._flood.changed = False
        self._on_bans(self._flood.bans())
