"""What a full-text index is given: Chinese words must be found by their characters and pairs."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store.tokens import search_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", ""),
        ("Hello, World!", "hello world"),
        ("请转账 to Bob", "请 转 账 请转 转账 to bob"),
        ("账", "账"),
        ("转5000元", "转 5000 元"),
        ("ＡＢＣ１２３", "abc123"),  # full-width forms
        ("don't", "don t"),
        ("𠀀𠀁", "𠀀 𠀁 𠀀𠀁"),  # beyond the basic plane
    ],
)
def test_tokens(text: str, tokens: str) -> None:
    assert search_tokens(text) == tokens


@pytest.mark.parametrize("query", ["转账", "账", "安全账户", "bob", "BOB 转账"])
def test_an_index_finds_what_was_said(query: str) -> None:
    index = sqlite3.connect(":memory:")
    index.execute("CREATE VIRTUAL TABLE said USING fts5(tokens)")
    index.execute("INSERT INTO said VALUES (?)", (search_tokens("Bob，请把钱转账到安全账户。"),))
    index.execute("INSERT INTO said VALUES (?)", (search_tokens("Nothing of the kind, 你好"),))
    match = " ".join(f'"{token}"' for token in search_tokens(query).split())
    assert index.execute("SELECT rowid FROM said WHERE said MATCH ?", (match,)).fetchall() == [(1,)]
    index.close()


@given(st.text())
def test_never_fails_and_is_stable(text: str) -> None:
    tokens = search_tokens(text)
    assert tokens == " ".join(tokens.split())
