"""The DNS for RFC 3263: answers by their time to live, and the last good ones when nobody answers.

A name server that is gone costs each question its time limit once; until it is asked again the last good
answer is given at once. One alarm says that the DNS is silent, the log says when it is back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.resolver
from dns.rdatatype import RdataType

from engine.model.address import Address
from engine.sip.location import IPV4, MAX_RECORDS, Answer, Family, Location, Naptr, Query, Srv, locate
from engine.sip.uri import Uri

HOSTS: Final = Path("/etc/hosts")
CONCURRENT: Final = 32
"""Questions under way at once; more wait."""
WAITING_MAX: Final = 1_000
"""Questions that may wait; the next one has failed."""
CACHED: Final = 10_000
"""Questions remembered; the one not asked for longest is forgotten first."""
TTL_MIN_S, TTL_MAX_S = 1.0, 86_400.0
NEGATIVE_MAX_S: Final = 60.0
RETRY_S: Final = 5.0
"""After a failure the question is not asked again for so long."""

_log = logging.getLogger(__name__)


class Resolver:
    """Locates servers. `alarm` gets a slug and a detail, once for each silence of the DNS."""

    def __init__(
        self,
        servers: Sequence[Address] = (),
        *,
        alarm: Callable[[str, str], None],
        timeout_s: float = 2.0,
        hosts: Path | None = HOSTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._alarm = alarm
        self._timeout_s = timeout_s
        self._clock = clock
        self._hosts = _read_hosts(hosts) if hosts is not None else {}
        self._dns = _stub(servers, timeout_s)
        self._cache: OrderedDict[Query, tuple[float, Answer]] = OrderedDict()
        """Until when the answer holds. A failed one never takes the place of a good one."""
        self._asked: dict[Query, asyncio.Task[Answer]] = {}
        self._slots = asyncio.Semaphore(CONCURRENT)
        self._silent = False

    async def locate(
        self, uri: Uri, transports: Sequence[str], families: Collection[Family] = IPV4
    ) -> Location:
        """RFC 3263 for one URI; never raises for what the DNS says or does not say."""
        procedure = locate(uri, transports, families)
        try:
            questions = next(procedure)
            while True:
                questions = procedure.send(await self._answers(questions))
        except StopIteration as done:
            location: Location = done.value
            return location

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answers(self, questions: Sequence[Query]) -> Mapping[Query, Answer]:
        answers = await asyncio.gather(*(self._answer(question) for question in questions))
        return dict(zip(questions, answers, strict=True))

    async def _answer(self, question: Query) -> Answer:
        known = self._hosts.get(question.name)
        if known is not None and question.kind in ("A", "AAAA"):
            version = 4 if question.kind == "A" else 6
            addresses = tuple(each for each in known if ip_address(each).version == version)
            return Answer(addresses=addresses, ttl_s=TTL_MAX_S)
        until, answer = self._cache.get(question, (0.0, Answer()))
        now = self._clock()
        if now < until:
            self._cache.move_to_end(question)
            return _lasting(answer, until - now)
        task = self._asked.get(question)
        if task is None:
            if len(self._asked) >= WAITING_MAX:
                return Answer(ttl_s=RETRY_S, failed=True)
            task = self._asked[question] = asyncio.create_task(self._fetch(question))
            task.add_done_callback(lambda _: self._asked.pop(question, None))
        return await asyncio.shield(task)

    async def _fetch(self, question: Query) -> Answer:
        async with self._slots:
            answer = await self._ask(question)
        if answer.failed:
            _, earlier = self._cache.get(question, (0.0, answer))
            answer = _lasting(earlier, RETRY_S)  # the last good one, where there is one
        self._cache[question] = (self._clock() + answer.ttl_s, answer)
        self._cache.move_to_end(question)
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return answer

    async def _ask(self, question: Query) -> Answer:
        name = dns.name.from_text(question.name + ".")
        kind = RdataType[question.kind]
        if self._dns is None:
            return self._failed(question, "no name server is configured")
        try:
            found = await self._dns.resolve(
                name, kind, lifetime=self._timeout_s, search=False, raise_on_no_answer=False
            )
        except dns.resolver.NXDOMAIN as missing:
            self._heard()
            said = list(missing.kwargs["responses"].values())[-1]
            return Answer(ttl_s=_negative_s(said.resolve_chaining().minimum_ttl))
        except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
            return self._failed(question, type(error).__name__)
        self._heard()
        chain = found.chaining_result
        if found.rrset is None:
            return Answer(ttl_s=_negative_s(chain.minimum_ttl))
        return _read(question.kind, list(found.rrset), min(max(chain.minimum_ttl, TTL_MIN_S), TTL_MAX_S))

    def _heard(self) -> None:
        if self._silent:
            self._silent = False
            _log.info("the DNS answers again")

    def _failed(self, question: Query, why: str) -> Answer:
        _log.debug("%s %s: %s", question.kind, question.name, why)
        if not self._silent:
            self._silent = True
            self._alarm("dns_failed", f"{question.kind} {question.name}: {why}; last good answers are kept")
        return Answer(ttl_s=RETRY_S, failed=True)


def _stub(servers: Sequence[Address], timeout_s: float) -> dns.asyncresolver.Resolver | None:
    """The stub resolver of these servers, or of /etc/resolv.conf; None where neither names one."""
    try:
        stub = dns.asyncresolver.Resolver(configure=not servers)
    except dns.resolver.NoResolverConfiguration:
        return None
    if servers:
        stub.nameservers = [dns.nameserver.Do53Nameserver(each.host, each.port) for each in servers]
    stub.timeout = min(stub.timeout, timeout_s / 2)  # one loss is not the end
    stub.cache = None
    return stub


def _read(kind: str, records: Sequence[Any], ttl_s: float) -> Answer:
    """An answer section as ours; what cannot be read as ASCII is left out."""
    records = records[:MAX_RECORDS]
    if kind == "SRV":
        srv = (Srv(each.priority, each.weight, each.port, _name(each.target)) for each in records)
        return Answer(srv=tuple(srv), ttl_s=ttl_s)
    if kind == "NAPTR":
        return Answer(naptr=tuple(_naptr(each) for each in records), ttl_s=ttl_s)
    return Answer(addresses=tuple(each.address for each in records), ttl_s=ttl_s)


def _naptr(record: Any) -> Naptr:
    flags, service = (value.decode("ascii", "replace") for value in (record.flags, record.service))
    return Naptr(record.order, record.preference, flags, service, _name(record.replacement))


def _name(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


def _negative_s(ttl_s: int) -> float:
    return min(max(float(ttl_s), TTL_MIN_S), NEGATIVE_MAX_S)


def _lasting(answer: Answer, ttl_s: float) -> Answer:
    return Answer(answer.naptr, answer.srv, answer.addresses, ttl_s, answer.failed)


def _read_hosts(path: Path) -> dict[str, list[str]]:
    """Name → addresses of a hosts file; lines that cannot be read say nothing."""
    found: dict[str, list[str]] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return found
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        try:
            ip_address(address)
        except ValueError:
            continue
        for name in names:
            found.setdefault(name.lower().rstrip("."), []).append(address)
    return found
