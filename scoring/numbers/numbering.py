"""Normalisation: from the text on the wire to a `Number`, national layer first, `phonenumbers` second.

The order is clean, own short codes, E.164, unknown. `phonenumbers` alone is not enough: it knows 95588 and
96110 only as full numbers that are invalid, reads `0013800138000` as a North American number, strips
carrier-selection prefixes silently and does not know 122.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import phonenumbers

from scoring.numbers.number import E164_DIGITS_MAX, Number, NumberKind

PROTECTED: Final = frozenset({"110", "119", "120", "122", "12110", "112", "911", "96110", "12381", "12321"})
"""Police, fire, ambulance, traffic police, their text service, emergency abroad, anti-fraud, reporting."""

SHORT_CODES_CN: Final = r"1[12]\d|1[0-2]\d{3}|11[68]\d{3}|1010\d{4}|95\d{3}(?:\d{3})?|96\d{3,4}"
"""Emergency and service codes 1XX, carriers and public services 10XXX/12XXX, enterprises 95/96."""

AREA_CODES_CN: Final = r"10|2[0-57-9]|[3-9]\d{2}"
"""National destination codes of geographic numbers, without the trunk 0."""

CARRIER_PREFIXES_CN: Final = (
    r"12593|1259[01]|1179[0-9]|118(?:08|88)|1790[0-9]|1791[01]|1793[01]|1795[01]|1796[01]|10193"
)
"""Carrier-selection (IP telephony) prefixes dialled before a number."""

MOBILE_CN: Final = re.compile(r"\+86(1[3-9][0-9]{9})", re.ASCII)
_CARRIER_MOBILE_CN: Final = re.compile(r"\+86179", re.ASCII)

_EMERGENCY_URN: Final = re.compile(r"urn:service:sos(?:\.[a-z0-9.-]*)?", re.ASCII | re.IGNORECASE)
_EMERGENCY_CODES: Final = {"police": "110", "fire": "119", "ambulance": "120"}
_ANONYMOUS: Final = frozenset(
    {"", "anonymous", "restricted", "private", "unavailable", "unknown", "withheld"}
)
_SCHEME: Final = re.compile(r"(sips?|tel):", re.ASCII | re.IGNORECASE)
_SEPARATORS: Final = str.maketrans("", "", "-.() \t")  # RFC 3966 visual separators, and spaces people type
_DIGITS: Final = re.compile(r"\+?[0-9]+", re.ASCII)
_RAW_MAX: Final = 256
_DIGITS_MAX: Final = 32


def is_emergency_uri(uri_text: str) -> bool:
    """Whether a Request-URI is an emergency service URN (RFC 5031): `urn:service:sos`, `…:sos.police`."""
    if uri_text.startswith(("sip:", "sips:", "tel:")):  # nearly all of them
        return False
    return _EMERGENCY_URN.fullmatch(uri_text.strip("<> \t")) is not None


_PLAIN_CN = re.compile(r"(?:\+86)?(1(?:3[0-9]|5[0-35-9]|8[0-9])[0-9]{8})", re.ASCII)
"""Mobile numbers that are valid whatever `phonenumbers` learns, and begin with no code of another kind."""


class Numbering:
    """The numbering plan of one tenant: a region's rules and the tenant's own short codes.

    Patterns that are not given are mainland China's for region CN and empty elsewhere, where `phonenumbers`
    alone knows area codes and carrier-selection prefixes.
    Instances keep the last `cache_size` normalised texts, since parsing takes tens of microseconds.
    """

    def __init__(
        self,
        region: str = "CN",
        country_code: str = "86",
        short_codes: Iterable[str] = (),
        protected: Iterable[str] = PROTECTED,
        short_code_pattern: str | None = None,
        area_codes: str | None = None,
        carrier_prefixes: str | None = None,
        cache_size: int = 16384,
    ) -> None:
        own_patterns = (
            (SHORT_CODES_CN, AREA_CODES_CN, CARRIER_PREFIXES_CN) if region == "CN" else ("", "", "")
        )
        given = (short_code_pattern, area_codes, carrier_prefixes)
        codes, areas, carriers = (
            own if pattern is None else pattern for own, pattern in zip(own_patterns, given, strict=True)
        )
        self.mainland = region == "CN" and country_code == "86" and all(each is None for each in given)
        """Mainland China's plan, with no patterns of the tenant's own."""
        self.region = region
        self.country_code = country_code
        self.protected = frozenset(protected)
        self.short_codes = frozenset(short_codes) | self.protected
        for code in self.short_codes:
            if not _DIGITS.fullmatch(code) or code[0] == "+":
                raise ValueError(f"a short code consists of digits 0-9, not {code!r}")
        own = "|".join(sorted(self.short_codes, key=lambda code: (-len(code), code)))
        self._national = re.compile(f"{own}|{codes}" if codes else own, re.ASCII)
        self._carrier = re.compile(f"({carriers})(?=[0-9])", re.ASCII) if carriers else None
        self._area = re.compile(f"0?({areas})(?=[0-9]{{3,6}}$)", re.ASCII) if areas else None
        self._reads_plain = self.mainland and all(len(code) < 11 for code in self.short_codes)
        self._cached = lru_cache(maxsize=cache_size)(self._normalise)
        self._cached_user = lru_cache(maxsize=cache_size)(self._of_user)

    def normalise(self, raw: str) -> Number:
        """The number a text stands for; never raises.

        `raw` is a user part of a SIP URI, a whole SIP or tel URI, an emergency URN, or what a person typed.
        """
        # Long texts stay out of the cache: its size is counted in entries, and peers choose the texts.
        return self._cached(raw) if len(raw) <= _RAW_MAX else self._normalise(raw)

    def of_user(self, user: str) -> Number:
        """The number in the user part of a URI, unescaped already; never raises.

        Nothing else is read into it: brackets, `@`, `:`, a scheme or another escape make it no number. What
        is forwarded would not be what was screened otherwise.
        """
        return self._cached_user(user) if len(user) <= _RAW_MAX else self._of_user(user)

    def is_plain(self, user: str) -> bool:
        """Whether that is a usual mobile number, at a glance; such a one is neither short nor protected."""
        return self._reads_plain and _PLAIN_CN.fullmatch(user) is not None

    def _of_user(self, user: str) -> Number:
        plain = _PLAIN_CN.fullmatch(user) if self._reads_plain else None
        if plain is not None:
            return Number(NumberKind.E164, f"86{plain[1]}", user)
        return self.of_user_at_length(user)

    def of_user_at_length(self, user: str) -> Number:
        """`of_user` without memory and without the short way for ordinary mobile numbers."""
        name, *parameters = user.split(";")
        return self._number(name, _context(parameters), user)

    def _normalise(self, raw: str) -> Number:
        if is_emergency_uri(raw):
            service = raw.strip("<> \t").lower().removeprefix("urn:service:sos").lstrip(".").split(".")[0]
            code = _EMERGENCY_CODES.get(service, "112")
            return Number(NumberKind.SHORT_CODE, code, raw[:_RAW_MAX], protected=True)
        return self._number(*_user_part(raw), raw)

    def _number(self, user: str, context: str, raw: str) -> Number:
        """`context` is the global prefix of a local number, or empty."""
        if user.lower() in _ANONYMOUS:
            return Number(NumberKind.ANONYMOUS, "", raw[:_RAW_MAX])
        digits = user.translate(_SEPARATORS)
        if not _DIGITS.fullmatch(digits):
            return Number(NumberKind.UNKNOWN, "", raw[:_RAW_MAX])
        if len(digits) > _DIGITS_MAX:
            return Number(NumberKind.UNKNOWN, digits.removeprefix("+")[:_DIGITS_MAX], raw[:_RAW_MAX])
        code = self._short_code(digits)
        if code:
            return Number(NumberKind.SHORT_CODE, code, raw[:_RAW_MAX], protected=code in self.protected)
        if context and digits[0] != "+":
            digits = context + digits.removeprefix("0")
        full = self._e164(digits)
        if full:
            return Number(NumberKind.E164, full, raw[:_RAW_MAX])
        return Number(NumberKind.UNKNOWN, digits.removeprefix("+")[:_DIGITS_MAX], raw[:_RAW_MAX])

    def _short_code(self, digits: str) -> str:
        """The short code in any spelling (110, +86110, 0086110, 010110, 17951110), or nothing."""
        if self._national.fullmatch(digits):
            return digits
        rest = self._without_carrier(digits)
        if rest != digits:
            return self._short_code(rest)
        country = self.country_code
        for sign in ("+", "00"):
            if digits.startswith(sign + country):
                return self._local_code(digits[len(sign + country) :])
        if (
            digits.startswith(country)
            and len(digits) < 7
            and self._national.fullmatch(digits[len(country) :])
        ):
            # Shorter than any subscriber number, so the country code it must be.
            return digits[len(country) :]
        for sign in ("+", "00"):
            # No E.164 number is so short: a peer that signs whatever it sends.
            if digits.startswith(sign) and len(digits) - len(sign) < 7:
                return self._local_code(digits[len(sign) :], area=False)
        return self._local_code(digits) if digits[0] == "0" else ""

    def _local_code(self, digits: str, area: bool = True) -> str:
        """A short code with or without the trunk 0 or an area code before it."""
        digits = self._without_carrier(digits)
        behind_area = ""
        if area and self._area is not None:
            match = self._area.match(digits)
            if match is not None and self._national.fullmatch(digits, match.end()):
                behind_area = digits[match.end() :]
        if behind_area in self.protected:
            # 010110 and +8610110 are Beijing's 110, not a service 10110.
            return behind_area
        if self._national.fullmatch(digits):
            return digits
        if behind_area:
            return behind_area
        return digits[1:] if digits[:1] == "0" and self._national.fullmatch(digits, 1) else ""

    def _without_carrier(self, digits: str) -> str:
        """Without a carrier-selection prefix, when a number or code follows it."""
        if self._carrier is None:
            return digits
        match = self._carrier.match(digits)
        return digits[match.end() :] if match is not None and len(digits) - match.end() >= 3 else digits

    def _e164(self, digits: str) -> str:
        """E.164 without plus, or nothing."""
        if self.country_code == "86" and MOBILE_CN.fullmatch(digits) and not _CARRIER_MOBILE_CN.match(digits):
            return digits[1:]
        national = digits.removeprefix("+" + self.country_code)
        selected = self._without_carrier(national)
        if selected != national:
            chosen = self._parse(selected, valid=True)
            if chosen:
                return chosen
        if digits[0] == "+":
            return self._parse(digits) or (
                digits[1:] if digits[1:2] != "0" and 7 <= len(digits) - 1 <= E164_DIGITS_MAX else ""
            )
        if digits.startswith("00"):
            # 00 then a country code; but some peers put 00 before a national number.
            return (
                self._parse("+" + digits[2:], valid=True)
                or self._parse(digits[2:], valid=True)
                or self._parse("+" + digits[2:])
            )
        return self._parse(digits, valid=True) or self._parse("+" + digits, valid=True)

    def _parse(self, text: str, valid: bool = False) -> str:
        """E.164 without plus of a possible (or `valid`: assigned) full number, or nothing."""
        try:
            parsed = phonenumbers.parse(text, self.region)
        except phonenumbers.NumberParseException:
            return ""
        if not (phonenumbers.is_valid_number(parsed) if valid else phonenumbers.is_possible_number(parsed)):
            return ""
        full = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)[1:]
        return full if len(full) <= E164_DIGITS_MAX else ""


def _user_part(raw: str) -> tuple[str, str]:
    """The digits' part of a URI or user part, and the global prefix a tel URI names as its context."""
    text = raw.strip(" \t")
    if "<" in text:
        text = text[text.index("<") + 1 :].split(">", 1)[0]
    scheme = _SCHEME.match(text)
    if scheme is not None:
        text = text[scheme.end() :]
        if scheme[1].lower() != "tel":
            text = text.rsplit("@", 1)[0] if "@" in text else ""
    elif "@" in text:
        text = text.rsplit("@", 1)[0]
    user, *parameters = text.split(";")
    return unquote(user.split(":", 1)[0]), _context(parameters)


def _context(parameters: Iterable[str]) -> str:
    """The global prefix that a `phone-context` names, or nothing (RFC 3966 §5.1.5)."""
    found = ""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        prefix = value.translate(_SEPARATORS)
        if name.lower() == "phone-context" and prefix[:1] == "+" and _DIGITS.fullmatch(prefix):
            found = prefix
    return found
