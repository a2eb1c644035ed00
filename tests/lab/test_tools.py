"""The lab's own instruments: what they measure is what was put in."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from engine.rtp import g711
from lab.bench.capture import Packet, call_delays_ms, read_packet, reject_delays_ms
from lab.peers import packages, scenarios, tone
from lab.peers.asterisk import TEMPLATES, Place, render
from lab.peers.scenarios import Scenario
from lab.peers.sipp import read_messages

# --- tones ------------------------------------------------------------------


@pytest.mark.parametrize("payload_type", [tone.PCMU, tone.PCMA])
def test_every_g711_code_survives(payload_type: int) -> None:
    codes = bytes(range(256))
    samples = tone.decode(codes, payload_type)
    again = tone.decode(tone.encode(samples, payload_type), payload_type)
    assert np.array_equal(again, samples)


def test_two_writings_of_g711_agree() -> None:
    """The peers' tables and the engine's were written independently from the standard."""
    codes = bytes(range(256))
    assert np.array_equal(tone.decode(codes, tone.PCMU), g711.decode(codes, g711.Law.PCMU))
    assert np.array_equal(tone.decode(codes, tone.PCMA), g711.decode(codes, g711.Law.PCMA))


@pytest.mark.parametrize("frequency_hz", [440, 700, 1100, 3000])
def test_a_tone_is_heard_as_itself(frequency_hz: int, tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    tone.write_wav(path, tone.tone(frequency_hz, 1.0))
    samples = tone.read_wav(path)
    assert tone.listen(samples).is_tone(frequency_hz)
    assert not tone.listen(samples).is_tone(frequency_hz + 50)
    assert tone.seconds_of_tone(samples, frequency_hz) == pytest.approx(1.0)


def test_noise_and_silence_are_no_tone() -> None:
    noise = np.random.default_rng(1).integers(-8000, 8000, 8000).astype(np.int16)
    silence = np.zeros(8000, np.int16)
    assert tone.seconds_of_tone(noise, tone.listen(noise).frequency_hz) == 0
    assert tone.seconds_of_sound(noise) == pytest.approx(1.0)
    assert tone.seconds_of_sound(silence) == 0


# --- SIPp and Asterisk ------------------------------------------------------

EVERY_SCENARIO = [value for value in vars(scenarios).values() if isinstance(value, Scenario)]


@pytest.mark.parametrize("scenario", EVERY_SCENARIO, ids=lambda scenario: scenario.name)
def test_scenario_is_xml_with_every_label_it_goes_to(scenario: Scenario) -> None:
    root = ElementTree.fromstring(scenario.xml.partition("\n")[2])
    labels = {label.get("id") for label in root.iter("label")}
    assert {step.get("next") for step in root.iter() if step.get("next")} <= labels


def test_numbers_may_come_from_a_file() -> None:
    steps = "".join(scenarios.CALL.by_row().steps)
    assert "[field0]" in steps
    assert "[field1]" in steps
    assert "[service]" not in steps


SIPP_LOG = """\
----------------------------------------------- 2026-01-02 03:04:05.000001
UDP message sent (99 bytes):

INVITE sip:1@127.0.0.1 SIP/2.0\r
From: "One" <sip:1@127.0.0.1>;tag=1\r
\r
v=0\r

----------------------------------------------- 2026-01-02 03:04:05.000002
UDP message received [99] bytes :

SIP/2.0 200 OK\r
\r

-----------------------------------------------
Unexpected UDP message received:

SIP/2.0 200 OK\r
\r
"""


def test_sipp_message_log() -> None:
    sent, received = read_messages(SIPP_LOG)
    assert (sent.sent, received.sent) == (True, False)
    assert sent.header("from") == '"One" <sip:1@127.0.0.1>;tag=1'
    assert sent.body == "v=0"
    assert received.start == "SIP/2.0 200 OK"


def test_every_asterisk_template_can_be_filled_in() -> None:
    values = {**Place("carrier", "127.0.10.1", "127.0.20.1").values(), "modules": "/usr/lib/asterisk"}
    for path in TEMPLATES.glob("*.conf"):
        assert "{{" not in render(path.read_text(encoding="utf-8"), values), path


def test_a_tool_of_another_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        packages.have("no-such-tool")


# --- delays -----------------------------------------------------------------

UAC, US, UAS = ("127.0.0.1", 5060), ("127.0.0.2", 5060), ("127.0.0.3", 5060)


def message(
    at_s: float, source: tuple[str, int], destination: tuple[str, int], start: str, call: str
) -> Packet:
    text = f"{start}\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\n\r\n"
    return Packet(at_s, source, destination, text.encode())


def test_delay_of_a_reject_is_from_the_first_invite_to_the_first_answer() -> None:
    packets = [
        message(1.000, UAC, US, "INVITE sip:13900000001@x SIP/2.0", "a"),
        message(1.001, US, UAC, "SIP/2.0 100 Trying", "a"),
        message(1.003, UAC, US, "INVITE sip:13900000001@x SIP/2.0", "a"),
        message(1.004, US, UAC, "SIP/2.0 608 Rejected", "a"),
        message(1.009, US, UAC, "SIP/2.0 608 Rejected", "a"),
    ]
    assert reject_delays_ms(packets, US) == [pytest.approx(4.0)]


def test_delay_of_a_call_is_what_is_added_on_both_ways() -> None:
    packets = [
        message(1.000, UAC, US, "INVITE sip:13900000001@x SIP/2.0", "a"),
        message(1.002, US, UAS, "INVITE sip:+8613900000001@y SIP/2.0", "b"),
        message(1.100, UAS, US, "SIP/2.0 200 OK", "b"),
        message(1.103, US, UAC, "SIP/2.0 200 OK", "a"),
        message(2.000, UAC, US, "INVITE sip:13900000002@x SIP/2.0", "unanswered"),
    ]
    assert call_delays_ms(packets, US) == [pytest.approx(5.0)]


def test_packets_that_are_not_udp_are_left_out() -> None:
    header = bytes.fromhex("45000020000000004011000000000000") + bytes([127, 0, 0, 2])
    udp = header[:12] + bytes([127, 0, 0, 1]) + header[16:] + bytes.fromhex("13c413c5000c0000") + b"data"
    packet = read_packet(udp, 5.0)
    assert packet == Packet(5.0, ("127.0.0.1", 5060), ("127.0.0.2", 5061), b"data")
    assert read_packet(udp[:9] + b"\x06" + udp[10:], 5.0) is None
    assert read_packet(b"\x60" + udp[1:], 5.0) is None
    assert read_packet(udp[:20], 5.0) is None
