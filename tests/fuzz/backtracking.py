"""Whether a regular expression can be made to try the same characters again and again.

A static look at the parse tree instead of a stopwatch, so that a busy machine changes nothing. Two repeats
that may give characters back are dangerous where both can match the same ones and nothing else must stand
between them: `a*a*`, `(a+)*`, `(a|a)*`. Everything is over-estimated: what passes is linear for one starting
place, and what is repeated at most `FEW` times counts as one character. Possessive repeats and atomic groups
give nothing back; each is looked at on its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

FEW = 64
_MOST_PATHS = 20_000
_ALL = frozenset(range(257))
"""Latin-1, and 256 for all characters beyond."""
_CATEGORIES = {
    op.CATEGORY_DIGIT: "\\d",
    op.CATEGORY_NOT_DIGIT: "\\D",
    op.CATEGORY_SPACE: "\\s",
    op.CATEGORY_NOT_SPACE: "\\S",
    op.CATEGORY_WORD: "\\w",
    op.CATEGORY_NOT_WORD: "\\W",
}


class Atom(NamedTuple):
    """One step of a way through the expression: the characters it may take."""

    characters: frozenset[int]
    gives_back: bool
    """An unbounded repeat that may try again with less."""
    needed: bool
    begins: frozenset[int] = frozenset()
    """Of a loop over several steps: what it may begin with; empty: any of them."""


Path = tuple[Atom, ...]


def dangers(pattern: re.Pattern[Any]) -> list[str]:
    """What may go wrong in it; empty for an expression that cannot be attacked."""
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    return sorted(set(_Look(bool(pattern.flags & re.IGNORECASE)).look(list(tree))))


def starts_with_a_repeat(pattern: re.Pattern[Any]) -> bool:
    """Searching for it takes quadratic time: from each place all that follows is read."""
    look = _Look(bool(pattern.flags & re.IGNORECASE))
    tree = list(parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG))
    return any(
        path and path[0].gives_back and any(atom.needed and not atom.gives_back for atom in path[1:])
        for path in look.paths(tree)
    )


def half_way(pattern: re.Pattern[Any]) -> list[str]:
    """Possessive groups that can fail half-way through a round and be content with the rounds before.

    CPython up to 3.11.4, and so Debian 12's 3.11.2, then goes on behind what the failed round has read
    (github.com/python/cpython/issues/106052). A quoted pair may stand in one: it can only fail at the end.
    """
    found: list[str] = []

    def look(tree: Any) -> None:
        for kind, value in tree:
            if kind in (op.POSSESSIVE_REPEAT, op.ATOMIC_GROUP):
                body = list(value[2] if kind is op.POSSESSIVE_REPEAT else value)
                found.extend(str(way) for way in _ways(body) if not _is_whole(way))
            for part in value if isinstance(value, list | tuple) else ():
                if isinstance(part, parser.SubPattern):
                    look(part)
                elif isinstance(part, list):
                    for branch in part:
                        if isinstance(branch, parser.SubPattern):
                            look(branch)

    look(parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG))
    return found


def _ways(body: list[Any]) -> list[list[Any]]:
    """The alternatives of a group's body."""
    if len(body) == 1 and body[0][0] is op.SUBPATTERN:
        return _ways(list(body[0][1][3]))
    if len(body) == 1 and body[0][0] is op.BRANCH:
        return [list(branch) for branch in body[0][1][1]]
    return [body]


def _is_whole(way: list[Any]) -> bool:
    """One step, which matches or has read nothing; or a backslash and what it quotes."""
    return len(way) == 1 or way == [(op.LITERAL, 92), (op.ANY, None)]


class _Look:
    def __init__(self, ignores_case: bool) -> None:
        self._ignores_case = ignores_case
        self._found: list[str] = []

    def look(self, tree: list[Any]) -> list[str]:
        for path in self.paths(tree):
            for place, first in enumerate(path):
                if first.gives_back:
                    self._follow(first, path[place + 1 :])
        return self._found

    def _follow(self, first: Atom, rest: Path) -> None:
        for atom in rest:
            common = first.characters & (atom.begins or atom.characters)
            if common and atom.gives_back:
                self._found.append(f"two repeats of {_name(common)}")
            if atom.needed and not first.characters & atom.characters:
                return

    def paths(self, tree: list[Any]) -> Iterator[Path]:
        """All ways through a sequence, loops once or twice round."""
        for count, parts in enumerate(product(*[list(self._item(*item)) for item in tree])):
            assert count < _MOST_PATHS, "too many ways through it"
            yield tuple(atom for part in parts for atom in part)

    def _item(self, kind: Any, value: Any) -> Iterator[Path]:
        if kind in (op.AT, op.GROUPREF):
            yield ()
        elif kind in (op.ASSERT, op.ASSERT_NOT):
            self.look(list(value[1]))
            yield ()
        elif kind is op.SUBPATTERN:
            yield from self.paths(list(value[3]))
        elif kind is op.ATOMIC_GROUP:
            yield self._closed(list(value), 1)
        elif kind is op.BRANCH:
            for branch in value[1]:
                yield from self.paths(list(branch))
        elif kind is op.POSSESSIVE_REPEAT:
            yield self._closed(list(value[2]), value[0])
        elif kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            yield from self._repeat(*value)
        else:
            yield (Atom(self._characters(kind, value), False, True),)

    def _repeat(self, least: int, most: int, body: Any) -> Iterator[Path]:
        tree = list(body)
        if most <= FEW:
            if not least:
                yield ()
            yield from self.paths(tree)
            return
        ways = list(self.paths(tree))
        union = frozenset().union(*(atom.characters for way in ways for atom in way))
        begins = frozenset().union(*(way[0].characters for way in ways if way))
        yield (Atom(union, True, least > 0, begins),)
        if any(len(way) > 1 or any(atom.gives_back for atom in way) for way in ways):
            for once, again in product(ways, ways):
                yield (*once, *again)
        if _alike(ways):
            self._found.append("a loop over alternatives that can stand for each other")

    def _closed(self, tree: list[Any], least: int) -> Path:
        """What gives nothing back: one step outside, looked at by itself inside."""
        inner = _Look(self._ignores_case)
        self._found += inner.look(tree)
        ways = list(inner.paths(tree))
        union = frozenset().union(*(atom.characters for way in ways for atom in way))
        return (Atom(union, False, least > 0 and all(any(atom.needed for atom in way) for way in ways)),)

    def _characters(self, kind: Any, value: Any) -> frozenset[int]:
        if kind is op.ANY:
            return _ALL
        if kind is op.NOT_LITERAL:
            return _ALL - self._cased({min(value, 256)})
        if kind is op.LITERAL:
            return self._cased({min(value, 256)})
        assert kind is op.IN, kind
        found: set[int] = set()
        negated = False
        for what, which in value:
            if what is op.NEGATE:
                negated = True
            elif what is op.LITERAL:
                found.add(min(which, 256))
            elif what is op.RANGE:
                found.update(range(min(which[0], 256), min(which[1], 256) + 1))
            else:
                one = re.compile(_CATEGORIES[which])
                found.update(code for code in _ALL if one.fullmatch(chr(code)))
        cased = self._cased(found)
        return _ALL - (cased - {256}) if negated else cased

    def _cased(self, codes: set[int]) -> frozenset[int]:
        if not self._ignores_case:
            return frozenset(codes)
        return frozenset(
            codes
            | {
                ord(c)
                for code in codes
                for c in (chr(code).lower(), chr(code).upper())
                if len(c) == 1 and ord(c) < 256
            }
        )


def _alike(ways: list[Path]) -> bool:
    """Whether one way round may be taken for another, or for its beginning and the next time round."""
    firsts = frozenset().union(*(way[0].characters for way in ways if way))
    for one, other in product(ways, ways):
        short, long = sorted((one, other), key=len)
        same = all(a.characters & b.characters for a, b in zip(short, long, strict=False))
        if one is not other and short and same:
            rest = long[len(short) :]
            if not rest or rest[0].characters & firsts:
                return True
    return False


def _name(characters: frozenset[int]) -> str:
    return repr("".join(chr(code) for code in sorted(characters)[:5]))
