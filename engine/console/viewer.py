"""Who looks, as far as it shapes a page: language, theme and time zone, from cookies and headers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup
from starlette.requests import HTTPConnection

from engine.console.i18n import Language, Translator, choose_language, translator

Theme = Literal["auto", "light", "dark"]
THEMES: Final = ("auto", "light", "dark")
TimeStyle = Literal["clock", "datetime", "date"]
_FORMATS: Final[dict[TimeStyle, str]] = {
    "clock": "%H:%M:%S",
    "datetime": "%Y-%m-%d %H:%M:%S",
    "date": "%Y-%m-%d",
}


@dataclass(frozen=True, slots=True)
class Viewer:
    language: Language
    theme: Theme
    zone: tzinfo
    zone_name: str
    """IANA name that the browser told in a cookie; "" before it did, when times are UTC."""

    @classmethod
    def of(cls, request: HTTPConnection) -> Viewer:
        cookies = request.cookies
        theme = cookies.get("theme", "auto")
        name, zone = _zone(cookies.get("zone", ""))
        return cls(
            language=choose_language(cookies.get("language"), request.headers.get("accept-language")),
            theme=cast(Theme, theme) if theme in THEMES else "auto",
            zone=zone,
            zone_name=name,
        )

    @property
    def t(self) -> Translator:
        return translator(self.language)

    def time(self, at: datetime | float, style: TimeStyle) -> Markup:
        """A `<time>`; the script writes it anew where the browser's zone is another."""
        instant = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
        return Markup('<time datetime="{}" data-style="{}">{}</time>').format(
            instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            style,
            instant.astimezone(self.zone).strftime(_FORMATS[style]),
        )

    def midnight(self, now: datetime) -> datetime:
        """When the viewer's day began."""
        return now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)


def duration(milliseconds: float) -> str:
    """`0:07`, `12:34`, `1:02:03`."""
    seconds = int(timedelta(milliseconds=max(milliseconds, 0)).total_seconds())
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def _zone(name: str) -> tuple[str, tzinfo]:
    if re.fullmatch(r"[A-Za-z0-9_+\-]{1,32}(/[A-Za-z0-9_+\-]{1,32}){0,2}", name) is None:
        return "", UTC
    try:
        return name, ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "", UTC
