"""No regular expression that meets text from outside can be made to backtrack without end."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.backtracking import dangers, half_way, starts_with_a_repeat

PACKAGES = (
    *(
        "engine.sip",
        "engine.sdp",
        "engine.rtp",
        "engine.edge",
        "engine.call",
        "engine.runtime",
        "engine.model",
    ),
    *(
        "engine.screening",
        "engine.console",
        "engine.media",
        "engine.traces",
        "engine.logs",
    ),
    *("engine.bus", "engine.journal", "engine.store", "engine.warning", "scoring"),
)
_SEARCHING = ("search", "sub", "subn", "findall", "finditer", "split")


def _modules() -> Iterator[Any]:
    for name in PACKAGES:
        package = importlib.import_module(name)
        yield package
        for found in pkgutil.walk_packages(getattr(package, "__path__", []), f"{name}."):
            yield importlib.import_module(found.name)


def _patterns(value: object) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _patterns(each)
    elif isinstance(value, tuple | list | set | frozenset):
        for each in value:
            yield from _patterns(each)
    elif type(value).__module__.startswith(("engine", "scoring")):
        for name in getattr(type(value), "__dataclass_fields__", getattr(type(value), "_fields", ())):
            yield from _patterns(getattr(value, name))


def _collected() -> dict[tuple[str, str], re.Pattern[Any]]:
    """By module and name; those written where they are used, by module and text."""
    found: dict[tuple[str, str], re.Pattern[Any]] = {}
    for module in _modules():
        where = module.__name__
        for name, value in vars(module).items():
            for number, pattern in enumerate(_patterns(value)):
                found[where, f"{name}.{number}" if number else name] = pattern
        for node in ast.walk(ast.parse(Path(module.__file__).read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str | bytes)
            ):
                text = node.args[0].value
                found.setdefault((where, repr(text)), re.compile(text))
    return found


COLLECTED = _collected()


def _searched() -> list[tuple[str, str]]:
    """Those that are looked for anywhere in a text."""
    found = []
    for where, name in COLLECTED:
        text = Path(importlib.import_module(where).__file__ or "").read_text("utf-8")
        if any(re.search(rf"\b{re.escape(name)}\.{way}\(", text) for way in _SEARCHING):
            found.append((where, name))
    return found


def test_they_are_found() -> None:
    assert ("engine.sip.uri", "_SIP") in COLLECTED
    assert ("engine.sip.framing", "_CONTENT_LENGTH") in _searched()
    assert len(COLLECTED) > 60


@pytest.mark.parametrize(("where", "name"), COLLECTED, ids=[": ".join(key) for key in COLLECTED])
def test_nothing_is_tried_again_and_again(where: str, name: str) -> None:
    assert dangers(COLLECTED[where, name]) == []


@pytest.mark.parametrize(("where", "name"), COLLECTED, ids=[": ".join(key) for key in COLLECTED])
def test_nothing_is_given_up_half_way(where: str, name: str) -> None:
    assert half_way(COLLECTED[where, name]) == []


def test_what_is_given_up_half_way_is_known() -> None:
    assert half_way(re.compile(r'(?:[^",<]++|"(?:[^"\\]|\\.)*+"|<[^>]*+>)*+'))
    assert half_way(re.compile(r"x(?:[^\r\n]|\r\n[ \t])*+"))
    assert half_way(re.compile(r"(?:;[a-z]++)*+"))
    assert not half_way(re.compile(r'"(?:[^"\\]|\\.)*+"[a-z]++(?:a|b)*+(?:x[^y]*+y)*'))


@pytest.mark.parametrize(("where", "name"), _searched(), ids=[": ".join(key) for key in _searched()])
def test_a_search_does_not_read_on_from_every_place(where: str, name: str) -> None:
    assert not starts_with_a_repeat(COLLECTED[where, name])


@pytest.mark.parametrize(
    "text",
    [
        *(r"(a+)+b", r"(a*)*", r"a*a*b", r"(a|a)*b", r"(a|aa)*c", r"\s*,?\s*x", r"(?:[ab]+c?)*d", r".*=.*;"),
        *(r"([a-z]+)*@", r"(x+x+)+y", r"[ \t]*(?:a[ \t]*)?[ \t]*b", r"(?:a{0,999})*b", r"a*?a*?b"),
    ],
)
def test_dangerous_ones_are_known(text: str) -> None:
    assert dangers(re.compile(text))


@pytest.mark.parametrize(
    "text",
    [
        *(r"(?:a+)++b", r"a*+a*+b", r"(?:a|b)*c", r"[a-z]+@[a-z]+", r"(?:;[a-z]+(?:=[a-z]+)?)*", r"(?>a*)a*"),
        *(r'"(?:[^"\\]|\\.)*"', r"[0-9]{1,5}[0-9]{1,5}", r"x{3}y*"),
    ],
)
def test_harmless_ones_are_not_accused(text: str) -> None:
    assert dangers(re.compile(text)) == []


def test_a_search_that_begins_with_a_repeat_is_known() -> None:
    assert starts_with_a_repeat(re.compile(r"[ \t]*,"))
    assert not starts_with_a_repeat(re.compile(r"[ \t]+"))
    assert not starts_with_a_repeat(re.compile(r",[ \t]*;"))
