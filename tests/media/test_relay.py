"""Packets from one phone to the other through a real worker."""

from __future__ import annotations

import asyncio
import socket
from itertools import pairwise

import numpy as np
import psutil
import pytest

from engine.media.endpoint import MOST_PACKETS_S
from engine.model.media import (
    CloseSession,
    DtmfReceived,
    OpenSession,
    Route,
    RtpTimeout,
    SendDtmf,
    SessionClosed,
    SessionOpened,
    SetRemote,
    SetRoutes,
)
from engine.rtp import packet, rtcp
from engine.rtp.packet import Packet
from tests.media.harness import (
    BOTH_WAYS,
    EVENT,
    PCMA,
    PCMU,
    SESSION,
    STRANGER,
    XDIST,
    Lab,
    MakeLab,
    Phone,
    loudest_hz,
    play,
    sine,
    talk,
)

pytestmark = pytest.mark.wire


async def talking(lab: Lab) -> tuple[Phone, Phone]:
    """Two phones that hear each other."""
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS)
    await lab.settle()
    return a, b


def assert_continuous(heard: list[Packet]) -> None:
    """One SSRC, no gap in the sequence, timestamps that go on by whole frames."""
    assert len({p.ssrc for p in heard}) == 1
    steps = {(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(heard)}
    assert steps == {1}
    gaps = [(b.timestamp - a.timestamp) & 0xFFFF_FFFF for a, b in pairwise(heard)]
    assert all(0 < gap <= 1600 and gap % 160 == 0 for gap in gaps)


async def test_same_law_passes_both_ways_byte_for_byte(lab: Lab) -> None:
    a, b = await talking(lab)
    await asyncio.gather(a.speak(sine(440, 0.4)), b.speak(sine(1000, 0.4)))
    await lab.until(lambda: len(a.heard) == len(b.heard) == 20)
    assert [p.payload for p in b.heard] == a.sent
    assert [p.payload for p in a.heard] == b.sent
    assert b.heard[0].ssrc != a.ssrc
    assert_continuous(a.heard)
    assert_continuous(b.heard)


async def test_other_law_is_transcoded(lab: Lab) -> None:
    a, b = lab.phone(), lab.phone(PCMU)
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS)
    await lab.settle()
    await asyncio.gather(a.speak(sine(440, 0.5)), b.speak(sine(1000, 0.5)))
    await lab.until(lambda: len(a.heard) == len(b.heard) == 25)
    assert {p.payload_type for p in a.heard} == {8}
    assert {p.payload_type for p in b.heard} == {0}
    assert loudest_hz(b.audio()) == pytest.approx(440, abs=3)
    assert loudest_hz(a.audio()) == pytest.approx(1000, abs=3)
    assert abs(b.audio() - sine(440, 0.5)).max() < 600


async def test_ipv6(make_lab: MakeLab) -> None:
    if not socket.has_ipv6 or "::1" not in {a.address for n in psutil.net_if_addrs().values() for a in n}:
        pytest.skip("this machine has no ::1")
    lab = await make_lab(host="::1", first_port=31_000 + 100 * XDIST, last_port=31_050 + 100 * XDIST)
    lab.send(OpenSession(session=SESSION, endpoints=("a", "b")))
    ports = (await lab.expect(SessionOpened)).ports
    phones = {name: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for name in ports}
    try:
        for name, phone in phones.items():
            phone.bind(("::1", 0))
            phone.setblocking(False)
            port = phone.getsockname()[1]
            lab.send(SetRemote(session=SESSION, endpoint=name, host="::1", port=port, codec=PCMA))
        lab.send(BOTH_WAYS)
        await lab.settle()
        phones["a"].sendto(packet.build(Packet(8, False, 1, 1, 1, b"speech")), ports["a"])
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(phones["b"], 2048), 10)
    finally:
        for phone in phones.values():
            phone.close()
    heard = packet.parse(data)
    assert heard is not None
    assert heard.payload == b"speech"


async def test_nothing_passes_without_a_route(lab: Lab) -> None:
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(talk(("a", "b")))
    await asyncio.gather(a.speak(sine(440, 0.1)), b.speak(sine(1000, 0.1)))
    await lab.until(lambda: len(b.heard) == 5)
    assert a.heard == []


async def test_a_strangers_packets_go_nowhere(lab: Lab) -> None:
    a, b = lab.phone(), lab.phone()
    stranger = lab.phone(host=STRANGER)
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS)
    await lab.settle()
    stranger.engine = a.engine
    await asyncio.gather(a.speak(sine(440, 0.2)), stranger.speak(sine(1000, 0.2)), b.speak(sine(440, 0.2)))
    await lab.until(lambda: len(b.heard) == len(a.heard) == 10)
    assert [p.payload for p in b.heard] == a.sent
    assert stranger.heard == []
    lab.send(CloseSession(session=SESSION))
    statistics = (await lab.expect(SessionClosed)).statistics
    assert statistics["a"].packets_refused == 10
    assert (statistics["a"].packets_received, statistics["a"].packets_sent) == (10, 10)
    assert (statistics["b"].packets_refused, statistics["b"].packets_lost) == (0, 0)


async def test_rubbish_on_the_port_is_counted(lab: Lab) -> None:
    a, b = await talking(lab)
    for data in (b"", b"x", b"\x80" * 2048, packet.build(Packet(96, False, 1, 1, 1, b"?")), bytes(12)):
        a.socket.sendto(data, a.engine)
    await a.speak(sine(440, 0.1))
    await lab.until(lambda: len(b.heard) == 5)
    lab.send(CloseSession(session=SESSION))
    assert (await lab.expect(SessionClosed)).statistics["a"].packets_refused == 5


async def test_a_flood_from_the_phone_itself_is_cut_down(lab: Lab) -> None:
    a, _ = await talking(lab)
    for _ in range(200):  # in portions that fit the sockets
        for _ in range(20):
            a.send(b"\xd5" * 160)
        await asyncio.sleep(0.001)
    lab.send(CloseSession(session=SESSION))
    statistics = (await lab.expect(SessionClosed)).statistics
    assert statistics["a"].packets_received <= 4 * MOST_PACKETS_S
    assert statistics["a"].packets_refused > 1000


async def test_answers_go_where_the_phone_really_sends_from(lab: Lab) -> None:
    a, b = await talking(lab)
    moved = lab.phone(host=a.address[0])  # the same host, another port: NAT
    moved.engine = a.engine
    await moved.speak(sine(440, 0.04))
    await lab.until(lambda: len(b.heard) == 2)
    await b.speak(sine(440, 0.1))
    await lab.until(lambda: len(moved.heard) == 5)
    assert a.heard == []


async def test_an_attacker_on_the_phones_own_host_is_put_out_by_the_phone(lab: Lab) -> None:
    """Before, during and after the phone sends, with its very SSRC, to RTP and to RTCP."""
    a, b = await talking(lab)
    attacker = lab.phone(host=a.address[0])
    stranger = lab.phone(host=STRANGER)
    for thief in (attacker, stranger):
        thief.engine, thief.ssrc = a.engine, a.ssrc
    a.send(b"\xd5" * 160)
    await lab.until(lambda: len(b.heard) == 1)
    await asyncio.gather(attacker.speak(sine(900, 0.1)), stranger.speak(sine(900, 0.1)))
    await a.speak(sine(440, 0.1))
    await asyncio.gather(attacker.speak(sine(900, 0.1)), stranger.speak(sine(900, 0.1)))
    await lab.until(lambda: len(b.heard) == 6)
    await b.speak(sine(440, 0.1))
    await lab.until(lambda: len(a.heard) == 5)
    assert [p.payload for p in b.heard] == a.sent
    assert attacker.heard == stranger.heard == []
    lab.send(CloseSession(session=SESSION))
    assert (await lab.expect(SessionClosed)).statistics["a"].packets_refused == 20


async def test_reports_of_others_are_not_believed(lab: Lab) -> None:
    a, b = await talking(lab)
    host, port = a.address
    sockets = {
        name: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for name in ("phone", "neighbour", "stranger")
    }
    try:
        sockets["phone"].bind((host, port + 1))
        sockets["neighbour"].bind((host, 0))
        sockets["stranger"].bind((STRANGER, 0))
        engine = (a.engine[0], a.engine[1] + 1)
        for name in ("phone", "neighbour", "stranger"):
            sockets[name].sendto(rtcp.build_report(rtcp.Report(7), name), engine)
        sockets["phone"].sendto(b"\x80\xc9 no report", engine)
        await a.speak(sine(440, 0.2))
        await lab.until(lambda: len(b.heard) == 10)  # what came before has been read by then
        lab.send(CloseSession(session=SESSION))
        refused = (await lab.expect(SessionClosed)).statistics["a"].packets_refused
    finally:
        for each in sockets.values():
            each.close()
    assert refused == 3


async def test_a_new_offer_lets_a_phone_move(lab: Lab) -> None:
    a, b = await talking(lab)
    first, second = (lab.phone(host=a.address[0]) for _ in range(2))  # two mappings of one NAT
    first.engine = second.engine = a.engine
    await first.speak(sine(440, 0.04))
    await lab.until(lambda: len(b.heard) == 2)
    await second.speak(sine(440, 0.04))
    lab.send(lab.remote("a", a))
    await lab.settle()
    await b.speak(sine(440, 0.04))
    await lab.until(lambda: len(first.heard) == 2)  # until the new place is heard
    await second.speak(sine(440, 0.04))
    await lab.until(lambda: len(b.heard) == 4)
    await b.speak(sine(440, 0.04))
    await lab.until(lambda: len(second.heard) == 2)


async def test_hold_and_resume(lab: Lab) -> None:
    a, b = await talking(lab)
    await a.speak(sine(440, 0.1))
    await lab.until(lambda: len(b.heard) == 5)
    lab.send(lab.remote("b", b, send=False))
    await lab.settle()
    await a.speak(sine(440, 0.1))
    await asyncio.sleep(0.05)
    lab.send(lab.remote("b", b, send=True))
    await lab.settle()
    await a.speak(sine(440, 0.1))
    await lab.until(lambda: len(b.heard) == 10)
    assert_continuous(b.heard)


async def test_prompt_then_relay_is_one_stream(lab: Lab) -> None:
    lab.prompt("hello", sine(700, 0.3))
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(play("hello", "b"))
    await lab.until(lambda: len(b.heard) == 15)
    lab.send(BOTH_WAYS)
    await lab.settle()
    await a.speak(sine(440, 0.2))
    await lab.until(lambda: len(b.heard) == 25)
    assert_continuous(b.heard)
    assert b.heard[0].marker
    assert b.heard[15].marker


async def test_three_way_talk_is_mixed(lab: Lab) -> None:
    a, b, c = lab.phone(), lab.phone(PCMU), lab.phone()
    await lab.call(a=a, b=b, c=c)
    lab.send(talk(*((x, y) for x in "abc" for y in "abc" if x != y)))
    await asyncio.gather(a.speak(sine(440, 1.0)), b.speak(sine(1000, 1.0)))
    await lab.until(lambda: len(c.heard) >= 30 and len(a.heard) >= 30)
    assert power_hz(c, 440) > 0.3
    assert power_hz(c, 1000) > 0.3
    assert power_hz(a, 1000) > 0.8
    assert power_hz(a, 440) < 0.05


async def test_whisper_is_soft_and_one_sided(lab: Lab) -> None:
    a, b, supervisor = lab.phone(), lab.phone(), lab.phone()
    await lab.call(a=a, b=b, supervisor=supervisor)
    routes = (
        Route("a", "b"),
        Route("b", "a"),
        Route("supervisor", "b", -6.0),
        Route("a", "supervisor"),
        Route("b", "supervisor"),
    )
    lab.send(SetRoutes(session=SESSION, routes=routes))
    await supervisor.speak(sine(1000, 1.0, peak=8000))
    await lab.until(lambda: len(b.heard) >= 30)
    assert abs(b.audio()).max() == pytest.approx(4000, rel=0.05)
    assert a.heard == []


def power_hz(phone: Phone, frequency_hz: float) -> float:
    """Share of the power within 50 Hz of a tone, in all that was heard."""
    power = np.abs(np.fft.rfft(phone.audio().astype(float))) ** 2
    pitch = np.fft.rfftfreq(len(phone.audio()), 1 / 8000)
    return float(power[np.abs(pitch - frequency_hz) < 50].sum() / power.sum())


async def test_a_key_is_one_event_and_reaches_the_other_leg(lab: Lab) -> None:
    a, b = await talking(lab)
    await a.speak(sine(440, 0.1))
    await a.press("5", 100)
    await a.speak(sine(440, 0.1))
    await lab.until(lambda: len(b.heard) == 17)
    event = await lab.expect(DtmfReceived)
    assert (event.endpoint, event.digit, event.duration_ms) == ("a", "5", 100)
    assert not [e for e in lab.events if isinstance(e, DtmfReceived)]
    keys = [p for p in b.heard if p.payload_type == EVENT]
    assert len(keys) == 7
    assert len({p.timestamp for p in keys}) == 1
    assert len({p.ssrc for p in b.heard}) == 1
    assert [(p.sequence - b.heard[0].sequence) & 0xFFFF for p in b.heard] == list(range(17))


async def test_a_key_whose_end_is_lost_is_still_told(lab: Lab) -> None:
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    for duration in (160, 320):
        a.send(bytes((1, 10)) + duration.to_bytes(2, "big"), payload_type=EVENT, samples=0)
    event = await lab.expect(DtmfReceived)
    assert (event.digit, event.duration_ms) == ("1", 40)


async def test_a_leg_without_telephone_events_hears_no_gap(lab: Lab) -> None:
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(lab.remote("b", b, telephone_event=None), BOTH_WAYS)
    await a.speak(sine(440, 0.1))
    await a.press("5", 100)
    await a.speak(sine(440, 0.1))
    await lab.until(lambda: len(b.heard) == 10)
    assert [(p.sequence - b.heard[0].sequence) & 0xFFFF for p in b.heard] == list(range(10))


async def test_keys_of_our_own(lab: Lab) -> None:
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS, SendDtmf(session=SESSION, endpoint="b", digits="1#", duration_ms=80))
    await lab.until(lambda: len(b.heard) >= 12)
    assert [p.payload[0] for p in b.heard] == [1] * 6 + [11] * 6
    await a.speak(sine(440, 0.1))
    await lab.until(lambda: len(b.heard) >= 17)
    assert b.heard[-1].payload == a.sent[-1]


async def test_reports_are_sent_and_read(lab: Lab) -> None:
    a, b = lab.phone(), lab.phone()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reports:
        reports.bind((a.address[0], 0))
        reports.setblocking(False)
        await lab.call(a=a, b=b)
        lab.send(lab.remote("a", a, rtcp_port=reports.getsockname()[1]), BOTH_WAYS)
        await lab.settle()
        await asyncio.gather(a.speak(sine(440, 0.2)), b.speak(sine(440, 0.2)))
        loop = asyncio.get_running_loop()
        (report,) = rtcp.parse(await asyncio.wait_for(loop.sock_recv(reports, 2048), 15))
        assert isinstance(report, rtcp.Report)
        assert report.ntp is not None
        assert (report.ssrc, report.packets, report.octets) == (a.heard[0].ssrc, 10, 1600)
        (block,) = report.blocks
        assert (block.ssrc, block.lost, block.highest_sequence) == (a.ssrc, 0, 109)
        ours = rtcp.ReportBlock(report.ssrc, 0, 3, 0, 0, rtcp.middle(report.ntp), 0)
        rtcp_port = (a.engine[0], a.engine[1] + 1)
        await loop.sock_sendto(reports, rtcp.build_report(rtcp.Report(a.ssrc, (ours,)), "a"), rtcp_port)
        await asyncio.sleep(0.1)
    lab.send(CloseSession(session=SESSION))
    statistics = (await lab.expect(SessionClosed)).statistics["a"]
    assert statistics.remote_packets_lost == 3
    assert statistics.round_trip_ms is not None
    assert statistics.round_trip_ms < 5000


async def test_hold_of_the_old_kind_keeps_the_phone(lab: Lab) -> None:
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(BOTH_WAYS, lab.remote("b", b, host="0.0.0.0"))
    await lab.settle()
    await asyncio.gather(a.speak(sine(440, 0.1)), b.speak(sine(1000, 0.1)))
    await lab.until(lambda: len(a.heard) == 5)  # music on hold, perhaps
    assert b.heard == []
    lab.send(lab.remote("b", b))
    await lab.settle()
    await a.speak(sine(440, 0.1))
    await lab.until(lambda: len(b.heard) == 5)


async def test_silence_is_told_once(make_lab: MakeLab) -> None:
    lab = await make_lab(rtp_timeout_s=1.0)
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(lab.remote("b", b, receive=False))  # recvonly, or inactive
    told = await lab.expect(RtpTimeout)
    assert (told.endpoint, told.silent_s >= 1.0) == ("a", True)
    await asyncio.sleep(1.2)
    assert not [e for e in lab.events if isinstance(e, RtpTimeout)]
    await a.speak(sine(440, 0.02))
    assert (await lab.expect(RtpTimeout)).endpoint == "a"


@pytest.mark.parametrize(
    "way", [{"send": False}, {"send": False, "receive": False}, {"host": "0.0.0.0"}], ids=str
)
async def test_hold_may_be_silent(make_lab: MakeLab, way: dict[str, object]) -> None:
    """Whoever holds the other sends music or nothing; only the one who talks must be heard."""
    lab = await make_lab(rtp_timeout_s=0.5)
    a, b = lab.phone(), lab.phone()
    await lab.call(a=a, b=b)
    lab.send(lab.remote("a", a, **way), lab.remote("b", b, receive=False))
    await asyncio.sleep(2.2)
    assert not [event for event in lab.events if isinstance(event, RtpTimeout)]
    lab.send(lab.remote("a", a), lab.remote("b", b))
    await asyncio.gather(b.speak(sine(440, 0.02)), lab.expect(RtpTimeout))
