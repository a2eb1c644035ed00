"""Addresses and ranges of ports, as the configuration writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address


@dataclass(frozen=True, slots=True)
class Address:
    """`host:port` in the file; IPv6 hosts in brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]\s]+)):([0-9]{1,5})", text)
        if match is None or not 0 <= int(match[3]) <= 65535:
            raise ValueError(f"expected host:port, not {text!r}")
        host = str(IPv6Address(match[1])) if match[1] else match[2]  # as the kernel writes it
        return cls(host, int(match[3]))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class PortRange:
    """`low-high` in the file, both included."""

    low: int
    high: int

    @classmethod
    def parse(cls, text: str) -> PortRange:
        match = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", text)
        if match is None or not 0 < int(match[1]) < int(match[2]) <= 65535:
            raise ValueError(f"expected low-high, such as 20000-29999, not {text!r}")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.low}-{self.high}"
