"""What is checked of the trunks in a configuration, beyond the types of their keys."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from engine.call.sources import Source
from engine.call.translation import failed_example
from engine.model.trunk_sections import NextHopSection, TrunkSection
from engine.sip.errors import RemoteProtocolError
from engine.sip.location import TRANSPORTS, is_name
from engine.sip.uri import Uri, is_address

_PREFIX: Final = re.compile(r"\+?[0-9]{1,15}", re.ASCII)
_RULE_TEXT: Final = re.compile(r"\+?[0-9*#]{0,32}", re.ASCII)
_FIELDS: Final = ("called_in", "calling_in", "called_out", "calling_out")


_NEEDS: Final = {"tcp": "sip.tcp", "tls": "sip.tls.listen"}


def trunk_problem(trunks: Mapping[str, TrunkSection], spoken: Collection[str]) -> str:
    """The first thing that is wrong, with its key; empty: nothing. `spoken` are our transports."""
    return next(_problems(trunks, spoken), "")


def _problems(trunks: Mapping[str, TrunkSection], spoken: Collection[str]) -> Iterator[str]:
    seen: dict[Source, str] = {}
    for name, trunk in trunks.items():
        key = f"trunk.{name}"
        for text in trunk.match:
            try:
                sources = Source.parse(text)
            except ValueError as error:
                yield f'{key}.match: {text!r} is no address, address:port, network or "*": {error}'
                continue
            for source in sources:
                if source in seen:
                    yield f"{key}.match: {text} already belongs to trunk.{seen[source]}"
                seen[source] = name
        for place in trunk.places:
            yield from _place(f"{key}.next_hops", place, spoken)
        for field, values in (("prefixes", trunk.prefixes), ("callers", trunk.callers)):
            for prefix in values:
                if not _PREFIX.fullmatch(prefix):
                    yield f"{key}.{field}: {prefix!r} is no prefix of a number such as +8613 or 100"
        yield from _numbers(key, trunk)
        yield from _translations(key, trunk)


def _place(key: str, place: NextHopSection, spoken: Collection[str]) -> Iterator[str]:
    try:
        uri = Uri.parse(place.uri)
    except RemoteProtocolError as error:
        yield f"{key}: {place.uri!r}: {error}"
        return
    if uri.scheme not in ("sip", "sips") or uri.user is not None:
        yield f"{key}: {place.uri!r}: expected sip:host:port;transport=tcp"
    elif not is_address(uri.host) and not is_name(uri.host):
        yield f"{key}: {place.uri!r}: {uri.host} is neither an address nor a host name"
    elif named := (uri.params.get("transport") or ("tls" if uri.scheme == "sips" else "")):
        transport = TRANSPORTS.get((uri.scheme, named.lower()))
        if transport is None:
            yield f"{key}: {place.uri!r}: {uri.scheme} has no transport {named}"
        elif transport not in spoken:
            needed = f"needs {_NEEDS[transport]}" if transport in _NEEDS else "is for phones, not for trunks"
            yield f"{key}: {place.uri!r}: {transport} {needed}"
    if place.priority < 0 or not 0 <= place.weight <= 65535:
        yield f"{key}: {place.uri!r}: priority counts from 0, weight from 0 to 65535"


def _numbers(key: str, trunk: TrunkSection) -> Iterator[str]:
    health = trunk.health
    if trunk.priority < 0 or not 0 <= trunk.weight <= 65535:
        yield f"{key}: priority counts from 0, weight from 0 to 65535"
    if trunk.max_calls < 0 or trunk.max_calls_per_s < 0:
        yield f"{key}: max_calls and max_calls_per_s must not be negative; 0 is no limit"
    if health.options_s < 0 or health.timeout_s <= 0 or health.retry_s <= 0:
        yield f"{key}.health: options_s must not be negative, timeout_s and retry_s must be more than 0"
    if health.failures < 1 or health.recoveries < 1:
        yield f"{key}.health: failures and recoveries are at least 1"
    if any(not 400 <= status <= 599 for status in trunk.failover_statuses):
        yield f"{key}.failover_statuses: only 400 to 599: a 6xx holds everywhere (RFC 3261 \u00a721.6)"


def _translations(key: str, trunk: TrunkSection) -> Iterator[str]:
    for field in _FIELDS:
        rules = getattr(trunk, field)
        for rule in rules:
            if not _RULE_TEXT.fullmatch(rule.match) or not _RULE_TEXT.fullmatch(rule.prefix):
                yield f"{key}.{field}: match and prefix are digits, with a plus before them or none"
            if not 0 <= rule.strip <= 32:
                yield f"{key}.{field}: strip is the number of characters, 0 to 32"
        if failed := failed_example(rules):
            yield f"{key}.{field}: {failed}"
