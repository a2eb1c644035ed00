"""Log lines: text for people, or one JSON object a line for machines; numbers masked, no credentials.

Masking is done on the finished text, tracebacks included: whatever a peer, a library or one of us put into a
message goes through it.
"""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from logging import _SysExcInfoType as ExceptionInfo

Format = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]

_QUIET: Final = ("aiosqlite", "alembic")
"""Libraries whose every step is no news."""

_COUNTRY_CODE: Final = re.compile(r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[0-9]{3}")
"""The shape of country codes (ITU-T E.164 Annex D list): one, two or three digits."""
_DATE: Final = r"\b20\d\d-(?:0\d|1[0-2])-[0-3]\d(?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d)?)?\b"
_NUMBER: Final = r"\+?\d(?:[ ()\-\u00a0\u2010-\u2013]{0,2}\d){6,}"
_DATE_OR_NUMBER: Final = re.compile(f"(?P<date>{_DATE})|(?P<number>{_NUMBER})")
_CREDENTIALS: Final = re.compile(
    r"(?P<key>\b(?:proxy-)?authorization\s*:\s*|\bpass(?:word|wd)?\s*[=:]\s*|\b(?:token|secret)\s*[=:]\s*)"
    r"(?:(?:digest|basic|bearer)\b[^\r\n]*|\"[^\"\r\n]*\"|[^\s,;\"]+)"
    r"|(?P<user>://[^\s/:@]*):[^\s/@]*@",
    re.IGNORECASE,
)


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def mask(text: str) -> str:
    """Without what could be a telephone number: seven digits or more, however they are grouped.

    Of a number in international form the country code stays, of every one its last two digits. Dates stay.
    """
    return _DATE_OR_NUMBER.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    if found["date"] is not None:
        return found["date"]
    text = found["number"]
    digits = "".join(character for character in text if character.isdigit())
    kept = ""
    if text.startswith("+") and digits.isascii():
        code = _COUNTRY_CODE.match(digits)
        assert code is not None
        kept = f"+{code[0]}"
        digits = digits[len(code[0]) :]
    return f"{kept}{'*' * (len(digits) - 2)}{digits[-2:]}"


def withhold(text: str) -> str:
    """Without passwords, tokens and the like, as they stand in headers, settings and URLs."""
    return _CREDENTIALS.sub(_withheld, text)


def _withheld(found: re.Match[str]) -> str:
    if found["key"] is not None:
        return f"{found['key']}(withheld)"
    return f"{found['user']}:(withheld)@"


def clean(text: str) -> str:
    """What may stand in a log."""
    return mask(withhold(text))


class TextFormatter(logging.Formatter):
    """One line an event, and a traceback below it where there is one."""

    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)s {process} %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _one_line(clean(record.message))
        return super().formatMessage(record)

    def formatException(self, ei: ExceptionInfo) -> str:
        return clean(super().formatException(ei))


class JsonFormatter(logging.Formatter):
    """One JSON object an event: ts (UTC), level, process, logger, message; call_id and exception if any."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "ts": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": clean(record.getMessage()),
        }
        call_id = getattr(record, "call_id", None)
        if call_id is not None:
            line["call_id"] = str(call_id)
        if record.exc_info:
            line["exception"] = clean(self.formatException(record.exc_info))
        return msgspec.json.encode(line).decode()


def configure(process: str, level: Level = "info", form: Format = "text") -> None:
    """All logs of this process to standard error. Called once, first."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process) if form == "json" else TextFormatter(process))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _one_line(text: str) -> str:
    """Text from the wire may hold line ends and worse; it makes no lines of its own and moves no cursor."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
