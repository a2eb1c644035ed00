"""What the demo promised, what came of it, and the report."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Check(msgspec.Struct, frozen=True):
    """One expectation: the sentence, whether it held, and what was seen."""

    text: str
    held: bool
    seen: str = ""


class CallReport(msgspec.Struct):
    """One call of the scenario and its expectations."""

    name: str
    title: str
    checks: list[Check] = []

    @property
    def held(self) -> bool:
        return bool(self.checks) and all(check.held for check in self.checks)


class Report(msgspec.Struct):
    """All of them. `ok` only if every expectation of every call held."""

    started: str
    duration_s: float = 0.0
    ok: bool = False
    calls: list[CallReport] = []

    def finish(self, expected_calls: int, duration_s: float) -> None:
        self.duration_s = round(duration_s, 1)
        self.ok = len(self.calls) == expected_calls and all(call.held for call in self.calls)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
