"""Text prepared for full-text indexes, which find no Chinese words by themselves.

SQLite's unicode61 takes a run of Han characters for one word and its trigram tokeniser misses words of two
characters; PostgreSQL's `simple` configuration does as unicode61. So we write the tokens: single Han
characters, pairs of neighbours, and other words in lower case. A query goes through the same function.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_HAN: Final = "\\u3007\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\U00020000-\\U0003134f"
_RUN: Final = re.compile(f"[{_HAN}]+|[^\\W{_HAN}]+")


def search_tokens(text: str) -> str:
    """`"请转账 to Bob"` → `"请 转 账 请转 转账 to bob"`."""
    tokens: list[str] = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).casefold()):
        tokens += run if re.match(f"[{_HAN}]", run) else [run]
        if re.match(f"[{_HAN}]", run):
            tokens += [run[i : i + 2] for i in range(len(run) - 1)]
    return " ".join(tokens)
