"""A telephone number as the whole system knows it: a kind, digits, and the text it came from."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

E164_DIGITS_MAX = 15
LOCAL_DIGITS_MAX = 14

_BLOCK: Final = 64  # of SHA-256, in bytes

KEY_DIGIT_BITS = 50
KEY_LOCAL = 1 << KEY_DIGIT_BITS
KEY_TENANT_SHIFT = KEY_DIGIT_BITS + 1
TENANTS_MAX = 1 << (64 - KEY_TENANT_SHIFT)


class NumberKind(StrEnum):
    """What a text turned out to be."""

    E164 = "e164"
    SHORT_CODE = "short_code"
    ANONYMOUS = "anonymous"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Number:
    """A normalised number. Two spellings of one number are equal; `raw` is kept for evidence only.

    `digits` is E.164 without the plus, or the short code, or whatever digits an unknown text had.
    `protected` says that it names an emergency, police or other public service of its tenant.
    `key` identifies it in the hot table, tenant bits zero; 0 when it cannot be listed. `display` is the
    canonical text: `+8613800138000`, `110`, `anonymous` or `unknown`.
    """

    kind: NumberKind
    digits: str
    raw: str = field(default="", compare=False)
    protected: bool = field(default=False, compare=False)
    key: int = field(init=False, compare=False, repr=False)
    display: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        is_e164 = self.kind is NumberKind.E164
        object.__setattr__(self, "key", digits_key(self.digits, is_e164))
        if is_e164:
            display = "+" + self.digits
        else:
            display = "anonymous" if self.kind is NumberKind.ANONYMOUS else self.digits or "unknown"
        object.__setattr__(self, "display", display)


def digits_key(digits: str, e164: bool) -> int:
    """The number's bits of a 64-bit hot-table key: 50 for digits, one for E.164 or local; never lossy.

    E.164 never begins with 0, so its value is its key. Local digits (short codes, texts that are no E.164)
    may, so a 1 is set before them. A prefix is keyed like a number: its value tells its length.
    Returns 0 for what has no key: no digits, or too many.
    """
    if not digits:
        return 0
    if e164:
        return int(digits) if len(digits) <= E164_DIGITS_MAX and digits[0] != "0" else 0
    return KEY_LOCAL | int("1" + digits) if len(digits) <= LOCAL_DIGITS_MAX else 0


def text_key(text: str) -> int:
    """The key, tenant bits zero, of canonical text: `+8613800138000`, `110`, `+8617*`. Raises ValueError."""
    pattern = text.removesuffix("*")
    e164 = pattern.startswith("+")
    digits = pattern[1:] if e164 else pattern
    key = digits_key(digits, e164) if digits.isascii() and digits.isdigit() else 0
    if not key:
        raise ValueError(f"{text!r} cannot be listed: not +digits (up to 15) nor digits (up to 14)")
    return key


def number_id(key: bytes, tenant: str, number: Number) -> str:
    """Keyed name of a number for topics, audit and chains: HMAC-SHA256 cut to 128 bits, as 32 hex digits."""
    return canonical_id(key, tenant, number.display)


def canonical_id(key: bytes, tenant: str, text: str) -> str:
    """The same for canonical text (`Number.display`), or for a prefix with its `*`."""
    inner, outer = _keyed(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(f"{tenant}\0{text}".encode())
    outer.update(inner.digest())
    return outer.hexdigest()[:32]


@lru_cache(maxsize=4)
def _keyed(key: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """The inner and the outer hash of HMAC-SHA256 (RFC 2104), which have read the key.

    To set HMAC up for each text anew costs several times the hashing.
    """
    padded = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    inner, outer = (bytes([byte ^ pad for byte in padded]) for pad in (0x36, 0x5C))
    return hashlib.sha256(inner), hashlib.sha256(outer)


def mask(number: Number, country_code: str = "86") -> str:
    """The number for eyes that need not see it: `138****8000`; short codes are public and stay whole."""
    if number.kind is not NumberKind.E164:
        whole = number.kind is not NumberKind.UNKNOWN or len(number.digits) < 7
        return number.display if whole else f"{number.digits[:2]}****{number.digits[-2:]}"
    if number.digits.startswith(country_code):
        head, digits = 3, number.digits[len(country_code) :]
        sign = ""
    else:
        head, digits, sign = 4, number.digits, "+"
    tail = 4 if len(digits) >= head + 7 else 2
    return f"{sign}{digits[:head]}****{digits[-tail:]}"
