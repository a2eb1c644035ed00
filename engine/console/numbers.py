"""How numbers are shown. The one place where a role that need not see them will get them masked."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

from engine.console.i18n import Translator
from engine.store.entries import FiledNumber


def show_number(number: FiledNumber | str | None, t: Translator) -> str:
    """A number in full, grouped for reading. The console is loopback-only and has no roles yet."""
    text = number.number if isinstance(number, FiledNumber) else number
    if text is None:
        return t("erased") if number is not None else t("unknown")
    if text in ("anonymous", "unknown"):
        return t("withheld") if text == "anonymous" else t("unknown")
    return _grouped(text)


def show_message(text: str) -> str:
    """A SIP message of a trace, in full as numbers are; secrets were left out when it was kept."""
    return text


@lru_cache(maxsize=4096)
def _grouped(text: str) -> str:
    if re.fullmatch(r"\+[0-9]{5,15}", text) is None:
        return text
    try:
        return phonenumbers.format_number(
            phonenumbers.parse(text), phonenumbers.PhoneNumberFormat.INTERNATIONAL
        )
    except phonenumbers.NumberParseException:
        return text
