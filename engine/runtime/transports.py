"""All sockets of one engine worker: UDP, TCP and TLS, behind one door for messages in and out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from engine.model.address import Address
from engine.model.config import Config, LimitsSection, TlsSection
from engine.model.moments import next_moment
from engine.model.trunk_sections import TrunkSection
from engine.runtime.bpf import Source
from engine.runtime.connection import StreamLimits
from engine.runtime.flood import FloodGuard, TrunkHosts, emergency_calls
from engine.runtime.stream import StreamTransport
from engine.runtime.tls import Tls, TlsError, load_tls
from engine.runtime.udp import UdpSocket
from engine.sip.flood import FloodLimits
from engine.sip.flow import Flow
from engine.sip.glance import branch_of, is_response
from engine.sip.location import Location
from engine.sip.uri import Uri, is_address
from scoring.numbers import Numbering

TICK_S: Final = 1.0
MAX_NAMES: Final = 10_000
"""Servers whose names are remembered; of others the certificate must bear the address."""
NO_TCP_S: Final = 60.0
"""After TCP has failed long requests go there by UDP for so long."""
_VIA_UDP: Final = b"\r\nVia: SIP/2.0/UDP "
_VIA_TCP: Final = b"\r\nVia: SIP/2.0/TCP "
_log = logging.getLogger(__name__)

OnMessage = Callable[[bytes, Flow], None]
OnFailed = Callable[[Flow, str, str], None]
S = TypeVar("S")


class ListenError(Exception):
    """An address cannot be listened on, or a certificate not be used; the text names the key and the mend."""


class Transports:
    """Bound from the first; `start` begins to listen.

    `on_message` gets one message and the flow it came by; `on_failed` flow, branch and reason of a request of
    ours that could not be delivered, later than `send` could tell.
    """

    def __init__(
        self, config: Config, numbering: Numbering, on_message: OnMessage, on_failed: OnFailed
    ) -> None:
        """Raises ListenError."""
        sip, trunks = config.sip, config.trunk
        self._on_message = on_message
        self._on_failed = on_failed
        known = TrunkHosts(text for trunk in trunks.values() for text in (*trunk.match, *_hop_hosts(trunk)))
        limits = flood_limits(config.limits)
        self._guard = FloodGuard(limits, known, emergency_calls(numbering), self._refuse)
        self._tcp_above = {
            host: trunk.tcp_above_bytes
            for trunk in trunks.values()
            if trunk.tcp_above_bytes
            for host in _hop_hosts(trunk)
        }
        self._banned: frozenset[Source] = frozenset()
        self._no_tcp: dict[tuple[str, int], float] = {}
        self._names = {
            (trunk.next_hop.host, trunk.next_hop.port): trunk.tls_name
            for trunk in trunks.values()
            if trunk.next_hop is not None and trunk.tls_name
        }
        self._ticker: asyncio.TimerHandle | None = None
        self._streams: dict[str, StreamTransport] = {}
        tls = _tls(sip.tls, self._names)
        self._udp = _bind("sip.listen", sip.listen, lambda: self._datagrams(config))
        self._local = self._udp.address
        try:
            if sip.tcp:
                self._listen(config, "sip.listen", "tcp", sip.listen, known)
            if sip.tls.listen is not None:
                self._listen(config, "sip.tls.listen", "tls", sip.tls.listen, known, tls)
        except ListenError:
            self._unbind()
            raise

    def _datagrams(self, config: Config) -> UdpSocket:
        listen = config.sip.listen
        return UdpSocket(
            listen.host,
            listen.port,
            self._datagram,
            receive_buffer_bytes=config.sip.receive_buffer_bytes,
            on_unreachable=self._unreachable,
        )

    def _listen(
        self,
        config: Config,
        key: str,
        name: str,
        address: Address,
        known: TrunkHosts,
        tls: Tls | None = None,
    ) -> None:
        self._streams[name] = _bind(
            key,
            address,
            lambda: StreamTransport(
                name,
                address,
                self._framed,
                self._lost,
                tls=tls,
                limits=stream_limits(config.limits),
                trusted=known,
                welcome=lambda host: self._guard.welcomes(host, time.monotonic()),
            ),
        )

    def start(self) -> None:
        self._udp.start()
        for stream in self._streams.values():
            stream.start()
        self._tick()

    @property
    def names(self) -> list[str]:
        """The transports that are listened on."""
        return ["udp", *self._streams]

    def counts(self) -> dict[str, dict[str, int]]:
        """What has happened since the start, and what there is now: "flood", and each stream transport."""
        streams = {name: stream.counts() for name, stream in self._streams.items()}
        return {"flood": self._guard.counts(), **streams}

    def name_targets(self, location: Location, name: str) -> None:
        """From now on a certificate shown at these servers must bear the name they were found by.

        RFC 5922 §7.1. The first name of a server stays, so that no later one turns our own trunk away.
        """
        for server in location.servers:
            for target in server.targets:
                if target.transport == "tls" and len(self._names) < MAX_NAMES:
                    self._names.setdefault((target.host, target.port), name)

    # --- in ---

    def _datagram(self, data: bytes, source: tuple[str, int]) -> None:
        guard, host = self._guard, source[0]
        if guard.within_limit(host, time.monotonic()) or guard.spares(data, host):
            self._on_message(data, Flow("udp", self._local, source))

    def _framed(self, data: bytes, flow: Flow) -> None:
        if self._guard.admits(data, flow.remote[0], time.monotonic()):
            self._on_message(data, flow)

    # --- out ---

    def send(self, flow: Flow, data: bytes, branch: str) -> None:
        """Raises OSError for what cannot be sent, nor even wait to be."""
        if flow.transport == "udp":
            if self._tcp_above and branch and self._is_long(flow.remote, data):
                self._send_long(flow, data, branch)
            else:
                self._udp.send(data, flow.remote)
            return
        stream = self._streams.get(flow.transport)
        if stream is None:
            raise OSError(f"{flow.transport} is not spoken here")
        stream.send(flow, data, branch)

    def _is_long(self, remote: tuple[str, int], data: bytes) -> bool:
        limit = self._tcp_above.get(remote[0], 0)
        return 0 < limit < len(data) and "tcp" in self._streams

    def _send_long(self, flow: Flow, data: bytes, branch: str) -> None:
        """RFC 3261 §18.1.1: by TCP, and where that fails by UDP after all.

        The transaction repeats the request as long as nothing answers it: over a connection that is absorbed,
        after a failure it is what goes out by UDP.
        """
        stream = self._streams["tcp"]
        if self._no_tcp.get(flow.remote, 0.0) > time.monotonic():
            self._udp.send(data, flow.remote)
            return
        if stream.carries(flow.remote, branch):
            return
        over = Flow("tcp", stream.address, flow.remote)
        try:
            stream.send(over, data.replace(_VIA_UDP, _VIA_TCP, 1), branch)
        except OSError:
            self._udp.send(data, flow.remote)

    # --- what could not be sent ---

    def _unreachable(self, data: bytes, target: tuple[str, int], error: str) -> None:
        """An ICMP error has come back with what we sent; of an answer nobody is told."""
        branch = "" if is_response(data) else branch_of(data)
        if branch:
            self._on_failed(Flow("udp", self._local, target), branch, error)

    def _lost(self, flow: Flow, branch: str, error: str) -> None:
        if flow.remote[0] in self._tcp_above and flow.transport == "tcp":
            # A transaction that believes in UDP knows no such flow; it will repeat itself, by UDP then.
            self._no_tcp[flow.remote] = time.monotonic() + NO_TCP_S
        self._on_failed(flow, branch, error)

    # --- floods ---

    def _refuse(self, bans: list[Source]) -> None:
        for source in bans:
            if source not in self._banned:
                _log.warning("banned for flooding: %s", source)
        self._banned = frozenset(bans)
        if not self._udp.refuse(bans):
            _log.warning("the kernel takes no filter: what banned sources send is dropped here")
        for stream in self._streams.values():
            stream.drop(bans)

    def _tick(self) -> None:
        now = time.monotonic()
        self._guard.tick(now)
        for remote in [remote for remote, until in self._no_tcp.items() if until <= now]:
            del self._no_tcp[remote]
        loop = asyncio.get_running_loop()
        self._ticker = loop.call_at(next_moment(loop.time(), TICK_S), self._tick)

    # --- the end ---

    def _unbind(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
        self._udp.close()
        for stream in self._streams.values():
            stream.stop()

    async def close(self) -> None:
        """Nothing is received any more; what is written to streams is still sent."""
        self._unbind()
        for stream in self._streams.values():
            await stream.close()


def _hop_hosts(trunk: TrunkSection) -> list[str]:
    """The addresses that calls leave to, as far as the configuration names addresses."""
    hosts = [trunk.next_hop.host] if trunk.next_hop is not None else []
    hosts += [Uri.parse(hop.uri).host for hop in trunk.next_hops]
    return [host for host in hosts if is_address(host)]


def flood_limits(limits: LimitsSection) -> FloodLimits:
    return FloodLimits(
        messages_per_s=limits.messages_per_s,
        trunk_messages_per_s=limits.trunk_messages_per_s,
        sources=limits.sources_per_worker,
        ban_after=limits.ban_after,
        ban_s=limits.ban_s,
        longest_ban_s=limits.longest_ban_s,
    )


def stream_limits(limits: LimitsSection) -> StreamLimits:
    return StreamLimits(
        message_s=limits.message_s,
        idle_s=limits.idle_s,
        connect_s=limits.connect_s,
        per_source=limits.connections_per_source,
        connections=limits.connections,
    )


def _tls(section: TlsSection, names: dict[tuple[str, int], str]) -> Tls | None:
    if section.listen is None:
        return None
    if section.certificate is None or section.key is None:
        raise ListenError("sip.tls.listen needs sip.tls.certificate and sip.tls.key")
    try:
        return load_tls(
            section.certificate,
            section.key,
            section.ca,
            verify_clients=section.verify_clients,
            names=names,
        )
    except TlsError as error:
        raise ListenError(f"sip.tls: {error}") from None


def _bind(key: str, address: Address, make: Callable[[], S]) -> S:
    try:
        return make()
    except OSError as error:
        raise ListenError(f"{key}: {address} cannot be listened on: {error.strerror}") from None
