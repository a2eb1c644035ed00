"""Names that may become files: only ids of our own making, never text from the wire."""

import re

_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z", re.ASCII)
_REFERENCE = re.compile(r"[\x21-\x7e]{1,255}\Z", re.ASCII)
# E.164 has at most 15 digits: whatever is shorter than this could be a number in clear.
_NUMBER_ID = re.compile(r"[A-Za-z0-9_-]{16,128}\Z", re.ASCII)


def check_name(what: str, value: str) -> str:
    """Return `value` if it is safe as a file name (letters, digits, `_`, `-`, single dots; at most 64).

    ValueError.
    """
    if not _NAME.match(value):
        raise ValueError(f"{what} must be 1 to 64 letters, digits, '_', '-' or single dots, got {value!r}")
    return value


def check_reference(what: str, value: str) -> str:
    """Return `value` if it is 1 to 255 visible ASCII characters; it never becomes a file name. ValueError."""
    if not _REFERENCE.match(value):
        raise ValueError(f"{what} must be 1 to 255 visible ASCII characters, got {value!r}")
    return value


def check_number_id(value: str) -> str:
    """Return `value` if it is empty or can only be a keyed id, not a telephone number; ValueError."""
    if value and not _NUMBER_ID.match(value):
        raise ValueError("a number id must be 16 to 128 letters, digits, '_' or '-'")
    return value
