"""Which trunk a request comes from: by source address, port or network; the most exact match counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

ANYWHERE: Final = "*"
REMEMBERED: Final = 4_096
"""Addresses whose network was looked for; all are forgotten when there are more."""

_WITH_PORT: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of `trunk.X.match`; a port of 0 is any."""

    network: IPv4Network | IPv6Network
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> tuple[Source, ...]:
        """Raises ValueError. `*` is both families' everywhere."""
        if text == ANYWHERE:
            return cls(ip_network("0.0.0.0/0")), cls(ip_network("::/0"))
        port = 0
        match = _WITH_PORT.fullmatch(text)
        if match is not None:
            text, port = match[1] or match[2], int(match[3])
            if not 0 < port < 65536:
                raise ValueError(f"{port} is not a port")
        elif text.startswith("[") and text.endswith("]"):
            text = text[1:-1]
        return (cls(ip_network(text), port),)


class Sources:
    """Trunk names by source. The order is: address and port, address, the longest network, everywhere."""

    def __init__(self, matches: Mapping[str, Iterable[str]]) -> None:
        found = [
            (source, name)
            for name, texts in matches.items()
            for text in texts
            for source in Source.parse(text)
        ]
        found.sort(key=lambda each: (-each[0].network.prefixlen, -each[0].port))
        self._networks = [(source, name) for source, name in found if source.network.num_addresses > 1]
        single = [
            (str(source.network.network_address), source.port, name)
            for source, name in found
            if source.network.num_addresses == 1
        ]
        self._ports = {(host, port): name for host, port, name in single if port}
        self._hosts = {host: name for host, port, name in single if not port}
        self._seen: dict[str, str | None] = {}

    def of(self, remote: tuple[str, int]) -> str | None:
        """The trunk of a source (host, port), or None: it is nobody's."""
        if self._ports and (name := self._ports.get(remote)) is not None:
            return name
        name = self._hosts.get(remote[0])
        if name is None and self._networks:
            return self._of_network(remote[0])
        return name

    def _of_network(self, host: str) -> str | None:
        if host in self._seen:
            return self._seen[host]
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        address = ip_address(host)
        found = next((name for source, name in self._networks if address in source.network), None)
        self._seen[host] = found
        return found
