"""Where in a TOML text a key stands, for messages; `tomllib` does not keep positions."""

import difflib
import re
from typing import Final

_HEADER: Final = re.compile(r"\s*+(\[\[?)([A-Za-z0-9_.\"' \t-]++)\]\]?")


def line_of(text: str, table: str, occurrence: int = 0, key: str | None = None) -> int | None:
    """Line number, from 1, of a key in the n-th (from 0) `[table]` or `[[table]]`; else of its header.

    The top level is the table "". A key may itself be a table with a header of its own. None when not even
    the header is found (an inline table, say).
    """
    own_header = f"{table}.{key}" if table else key
    lines = text.split("\n")
    header: int | None = 1 if table == "" else None
    seen = -1 if table else 0
    inside = table == ""
    wanted = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]") if key is not None else None
    for number, line in enumerate(lines, start=1):
        match = _HEADER.match(line)
        if match is not None:
            named = match[2].strip()
            if own_header is not None and f"{named}.".startswith(f"{own_header}.") and occurrence == 0:
                return number
            if named == table:
                seen += 1
            inside = named == table and seen == occurrence
            if inside:
                header = number
                if wanted is None:
                    return number
            elif header is not None and seen > occurrence:
                break
        elif inside and wanted is not None and wanted.match(line):
            return number
    return header


def nearest(word: str, known: list[str], shown: list[str] | None = None) -> str:
    """`, did you mean …?` for a misspelt key, or the choice there is (`shown` where that is too long)."""
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if matches:
        return f", did you mean {matches[0]!r}?"
    return f"; known are {', '.join(sorted(known) if shown is None else shown)}"
