"""What the screening tests share: facts, entries and policies by a few words, and strategies over them."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from engine.app.policies import catalogue_labels, read_policy
from engine.model.screening import (
    Action,
    Attestation,
    Direction,
    Facts,
    HotEntry,
    Level,
    Number,
    Precedence,
)
from engine.screening import Policy
from engine.warning.announcements import load as load_catalogue
from scoring.numbers import Numbering
from scoring.numbers.numbering import PROTECTED

CN = Numbering()
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALLER = CN.normalise("+8613900000001")
SUBSCRIBER = CN.normalise("+8613800138000")

HEAD = 'name = "test"\n[label.suspect]\nen = "Suspect"\nzh-CN = "可疑"\n'
"""The least a policy has, and a label to use."""


DIALPLANS = Path(__file__).parents[2] / "dialplans"


@cache
def shipped(name: str = "default") -> Policy:
    """A policy of dialplans/screening; that it loads says that its examples come out."""
    labels = catalogue_labels(load_catalogue(DIALPLANS / "announcements.toml"))
    return read_policy(DIALPLANS / "screening" / f"{name}.toml", CN, labels)


def facts(**changes: Any) -> Facts:
    """An ordinary incoming call; numbers may be given as text."""
    for name in ("calling", "called", "asserted"):
        if isinstance(changes.get(name), str):
            changes[name] = CN.normalise(changes[name])
    values: dict[str, Any] = {
        "tenant": "lab",
        "direction": Direction.INBOUND,
        "calling": CALLER,
        "called": SUBSCRIBER,
        "at": AT,
    }
    return Facts(**values | changes)


def entry(level: Level = Level.RED, **changes: Any) -> HotEntry:
    """A confirmed, lasting statement on the number itself."""
    values: dict[str, Any] = {
        "level": level,
        "action": None,
        "expires": None,
        "reason": "fraud",
        "row": 7,
        "wildcard": False,
        "confirmed": True,
        "precedence": Precedence.PERMANENT,
    }
    return HotEntry(**values | changes)


COUNTERS = ["caller_attempts_60s", "prefix_short_calls_3600s", "route_distinct_called_86400s"]

NUMBERS = st.sampled_from(
    [
        CALLER,
        SUBSCRIBER,
        CN.normalise("+8617000000001"),
        CN.normalise("95588"),
        CN.normalise("12345678"),
        CN.normalise("anonymous"),
        CN.normalise("bob"),
    ]
)
"""Of ordinary parties: none is protected."""

AREA_CODES = ("10", "21", "20", "311", "755", "991")


@st.composite
def protected_spellings(draw: st.DrawFn) -> str:
    """A protected number as it may come over the wire."""
    code = draw(st.sampled_from(sorted(PROTECTED)))
    area = draw(st.sampled_from(AREA_CODES))
    prefix = draw(
        st.sampled_from(["", "+86", "0086", "0" + area, "+86" + area, "+860" + area, "0086" + area])
    )
    text = prefix + code
    place = draw(st.integers(0, len(text)))
    separated = text[:place] + draw(st.sampled_from(["", "-", " ", "."])) + text[place:]
    return draw(
        st.sampled_from(
            [
                separated,
                f"sip:{text}@carrier.example",
                f"sips:{text}@carrier.example;user=phone",
                f"<tel:{text}>",
                text.replace("+", "%2B"),
            ]
        )
    )


PROTECTED_NUMBERS = protected_spellings().map(CN.normalise)

ENTRIES = st.builds(
    HotEntry,
    level=st.sampled_from(Level),
    action=st.none() | st.sampled_from(Action),
    expires=st.none() | st.integers(-2, 2).filter(bool).map(lambda hours: AT + timedelta(hours=hours)),
    reason=st.sampled_from(["fraud", "nuisance"]),
    row=st.integers(1, 99),
    wildcard=st.booleans(),
    confirmed=st.booleans(),
    precedence=st.sampled_from(Precedence),
)

FACTS = st.builds(
    Facts,
    tenant=st.just("lab"),
    direction=st.sampled_from(Direction),
    calling=NUMBERS | PROTECTED_NUMBERS,
    called=NUMBERS | PROTECTED_NUMBERS,
    at=st.just(AT),
    trunk=st.sampled_from(["carrier", "access", "official"]),
    trunk_authorised_public=st.booleans(),
    attestation=st.sampled_from(Attestation),
    asserted=st.none() | NUMBERS,
    request_uri=st.sampled_from(["", "sip:bob@host", "urn:service:sos", "urn:service:sos.police"]),
    diversion=st.lists(NUMBERS, max_size=2).map(tuple),
    entry=st.none() | ENTRIES,
    subscriber_allow=st.booleans(),
    subscriber_block=st.booleans(),
    emergency_callback=st.booleans(),
    kill_switch=st.booleans(),
    screening_failed=st.booleans(),
    counters=st.dictionaries(st.sampled_from(COUNTERS), st.integers(0, 50)),
    language=st.sampled_from(["en", "zh-CN"]),
)

COUNTED = "expires_in_s = 600\n"
_CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "direction": st.sampled_from(['"inbound"', '"outbound"']),
        "level": st.sampled_from(['"red"', '["red", "yellow"]', '"none"', '["green", "none"]']),
        "entry_action": st.sampled_from(['"reject"', '"none"', '["label", "warn"]']),
        "standing": st.sampled_from(['"permanent"', '["order", "temporary"]', '["model", "none"]']),
        "wildcard": st.sampled_from(["true", "false"]),
        "entry_reason": st.sampled_from(['"fraud"', '["nuisance", "fraud"]']),
        "calling_protected": st.sampled_from(["true", "false"]),
        "calling_kind": st.sampled_from(['"anonymous"', '["short_code", "unknown"]']),
        "calling": st.sampled_from(['"+86139*"', '["110", "+8617*"]', '"+*"']),
        "called": st.sampled_from(['"110"', '"+86*"', '"1*"']),
        "trunk": st.sampled_from(['"carrier"', '["access", "official"]']),
        "attestation": st.sampled_from(['"none"', '["full", "failed"]']),
        "diverted": st.sampled_from(["true", "false"]),
        "asserted_differs": st.sampled_from(["true", "false"]),
        "hours": st.sampled_from(['"22:00-07:00+08:00"', '"00:00-24:00+00:00"']),
        **dict.fromkeys(
            COUNTERS, st.sampled_from(["{ at_least = 30 }", "{ below = 5 }", "{ at_least = 1, below = 40 }"])
        ),
    },
)
_ANSWERS = st.sampled_from(
    ['confirmed_by = "li.na"\n', "expires = 2026-03-02\n", "expires = 2026-02-01\n", COUNTED, ""]
)


def _inline(conditions: dict[str, str]) -> str:
    return "{ " + ", ".join(f"{name} = {value}" for name, value in conditions.items()) + " }"


@st.composite
def policies(draw: st.DrawFn) -> str:
    """The text of a policy with any rules, as careless as the format allows."""
    parts = [HEAD]
    failure = draw(st.sampled_from(["allow", "label", "warn", "reject"]))
    answer = 'confirmed_by = "li.na"\n' if failure == "reject" else ""
    parts.append(f'[on_failure]\naction = "{failure}"\n{answer}')
    for direction in ("inbound", "outbound"):
        parts += [
            f'[{direction}.{action}]\nlabel = "suspect"\npopup = "a_popup"\nannouncement = "a_prompt"\n'
            "record = true\n"
            for action in ("label", "warn", "reject")
            if draw(st.booleans())
        ]
    for place in range(draw(st.integers(0, 5))):
        action = draw(st.sampled_from(["allow", "label", "warn", "reject", "entry"]))
        conditions = draw(_CONDITIONS)
        answer = draw(_ANSWERS)
        if action == "reject" and not answer:
            conditions = {**conditions, "level": '"red"'}
        if answer == COUNTED:
            conditions = {**conditions, "caller_attempts_60s": "{ at_least = 20 }"}
        parts.append(
            f'[[rule]]\nid = "rule{place}"\naction = "{action}"\nwhen = {_inline(conditions)}\n{answer}'
        )
        if draw(st.booleans()):
            parts.append(f"unless = {_inline(draw(_CONDITIONS))}\n")
        if draw(st.booleans()):
            parts.append('record = true\nlabel = "suspect"\npopup = "rule_popup"\n')
    return "".join(parts)


POLICIES = policies()


def number(text: str) -> Number:
    return CN.normalise(text)
