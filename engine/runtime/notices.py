"""What subscribers are shown of a verdict, and what blocked callers are told."""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from engine.call.values import Popup
from engine.model.config import RedressSection
from engine.model.screening import Attestation, Facts, Verdict
from engine.warning.announcements import Catalogue

REMEMBERED: Final = 20_000


class Notices:
    """A campaign is many calls of few numbers: what depends on the number alone is made once."""

    def __init__(self, tenant: str, redress: RedressSection, catalogue: Catalogue, key: bytes) -> None:
        self._tenant = tenant
        self._section = redress
        self._catalogue = catalogue
        self._key = key
        self.popup = lru_cache(REMEMBERED)(self._popup)
        """By kind, reason, calling number as displayed, and language."""
        self._appeals = lru_cache(REMEMBERED)(self._appeal)

    def block(self, facts: Facts, verdict: Verdict) -> tuple[str, str, str]:
        """The appeal code of a block, and what the caller is told: URIs of appeal page and card."""
        told = self._appeals(facts.calling.display, verdict.entry_row or 0, verdict.rule)
        return told if self._tells(facts) else (told[0], "", "")

    def _popup(self, kind: str, reason: str, number: str, language: str) -> Popup:
        catalogue = self._catalogue
        slug = reason if reason in catalogue.labels else "suspected_fraud"
        text = {
            each: catalogue.popup(kind, each, number=number, reason=catalogue.label(slug, each))
            for each in catalogue.languages
        }
        return Popup(kind, catalogue.language(language), text)

    def _appeal(self, number: str, row: int, rule: str) -> tuple[str, str, str]:
        code = self._code(number, row, rule)
        url, cards = self._section.url, self._section.cards
        return code, f"{url}?code={quote(code)}" if url else "", f"{cards}{code}" if cards else ""

    def _code(self, number: str, row: int, rule: str) -> str:
        """Eight characters that name the block and tell nothing of it; no write on the path.

        A truncated keyed HMAC of tenant, number and the entry: whoever has the key finds the block again.
        """
        text = f"{self._tenant}|{number}|{row}|{rule}"
        digest = hmac.digest(self._key, b"appeal|" + text.encode(), hashlib.sha256)
        code = base64.b32encode(digest[:5]).decode()
        return f"{code[:4]}-{code[4:]}"

    def _tells(self, facts: Facts) -> bool:
        """Whether a blocked caller is told where to turn to; a forged number need not learn it."""
        policy = self._section.policy
        return policy == "always" or (policy == "validated" and facts.attestation is Attestation.FULL)
