"""RFC 3264: which audio is meant, what we answer, and what passes through untouched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.media import Codec
from engine.sdp import (
    AudioTarget,
    Direction,
    Origin,
    SdpError,
    answer_direction,
    audio_target,
    build_answer,
    build_offer,
    choose_codec,
    parse,
    rewrite_origin,
)

PCMA, PCMU = Codec("PCMA", 8), Codec("PCMU", 0)
OURS = Origin("ringward", 7, 3, "127.0.20.1")
HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


def target(media: str, head: str = HEAD) -> AudioTarget:
    found = audio_target(parse((head + media).encode()))
    assert found is not None
    return found


def test_static_payload_types_need_no_rtpmap() -> None:
    found = target("m=audio 4000 RTP/AVP 18 8 0 13\r\n")
    assert [codec.name for codec in found.codecs] == ["G729", "PCMA", "PCMU"]
    assert (found.host, found.port, found.rtcp_port, found.ptime_ms) == ("192.0.2.1", 4000, 4001, 20)
    assert found.telephone_event is None


def test_dynamic_payload_types_and_telephone_event() -> None:
    found = target(
        "m=audio 4000 RTP/AVP 111 97 96 101\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:97 pcmu/8000\r\n"
        "a=rtpmap:96 telephone-event/48000\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp:4009\r\n"
    )
    assert found.codecs == (Codec("PCMU", 97),)
    assert found.telephone_event == 101
    assert found.rtcp_port == 4009


def test_first_usable_audio_line_is_taken() -> None:
    found = target(
        "m=video 4000 RTP/AVP 0\r\nm=audio 0 RTP/AVP 0\r\n"
        "m=audio 4002 RTP/SAVP 0\r\nm=audio 4004 RTP/AVP 0\r\n"
    )
    assert (found.index, found.port) == (3, 4004)


def test_no_audio_is_none() -> None:
    assert audio_target(parse((HEAD + "m=image 4000 udptl t38\r\n").encode())) is None


def test_a_name_or_no_address_is_refused() -> None:
    for head in (
        HEAD.replace("c=IN IP4 192.0.2.1\r\n", ""),
        HEAD.replace("c=IN IP4 192.0.2.1", "c=IN IP4 phone.example"),
    ):
        with pytest.raises(SdpError):
            target("m=audio 4000 RTP/AVP 0\r\n", head)


@pytest.mark.parametrize(
    ("line", "wants", "sends"),
    [
        ("a=sendrecv", True, True),
        ("a=sendonly", False, True),
        ("a=recvonly", True, False),
        ("a=inactive", False, False),
    ],
)
def test_direction_tells_hold(line: str, wants: bool, sends: bool) -> None:
    found = target(f"m=audio 4000 RTP/AVP 0\r\n{line}\r\n")
    assert (found.wants_audio, found.sends_audio) == (wants, sends)


def test_old_hold_by_zero_address() -> None:
    found = target("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n")
    assert not found.wants_audio
    assert found.sends_audio


def test_offerers_order_wins() -> None:
    assert choose_codec(target("m=audio 4000 RTP/AVP 0 8\r\n")) == PCMU
    assert choose_codec(target("m=audio 4000 RTP/AVP 8 0\r\n")) == PCMA
    assert choose_codec(target("m=audio 4000 RTP/AVP 18 3\r\n")) is None
    assert choose_codec(target("m=audio 4000 RTP/AVP 8 0\r\n"), ("PCMU",)) == PCMU


def test_an_answer_may_say_no_more_than_the_offer_allows() -> None:
    both, send, receive, none = Direction.SENDRECV, Direction.SENDONLY, Direction.RECVONLY, Direction.INACTIVE
    assert [answer_direction(offered) for offered in (both, send, receive, none)] == [
        both,
        receive,
        send,
        none,
    ]
    assert answer_direction(send, send) is none


def test_offer_reads_back() -> None:
    body = build_offer("127.0.20.1", 4000, (PCMA, PCMU), OURS, direction=Direction.SENDONLY)
    found = audio_target(parse(body))
    assert found == AudioTarget(0, "127.0.20.1", 4000, 4001, (PCMA, PCMU), 101, Direction.SENDONLY, 20)
    assert parse(body).origin == OURS


def test_answer_keeps_lines_types_and_times_of_the_offer() -> None:
    offer = parse(
        (
            HEAD.replace("t=0 0", "t=3034423619 3042462419")
            + "m=video 5000 RTP/SAVPF 96 97\r\nm=audio 4000 RTP/AVPF 97 110\r\na=rtpmap:97 PCMU/8000\r\n"
            "a=rtpmap:110 telephone-event/8000\r\na=ptime:30\r\na=sendonly\r\nm=audio 4004 RTP/AVP 0\r\n"
        ).encode()
    )
    offered = audio_target(offer)
    assert offered is not None
    codec = choose_codec(offered)
    assert codec == Codec("PCMU", 97)
    answer = parse(
        build_answer(offer, "127.0.20.1", 6000, codec, OURS, telephone_event=offered.telephone_event)
    )
    assert [(line.kind, line.port, line.proto, line.formats) for line in answer.media] == [
        ("video", 0, "RTP/SAVPF", ("96", "97")),
        ("audio", 6000, "RTP/AVPF", ("97", "110")),
        ("audio", 0, "RTP/AVP", ("0",)),
    ]
    chosen = audio_target(answer)
    assert chosen == AudioTarget(1, "127.0.20.1", 6000, 6001, (codec,), 110, Direction.RECVONLY, 30)
    assert [line.value for line in answer.others] == ["3034423619 3042462419"]


def test_nothing_to_answer_is_an_error() -> None:
    with pytest.raises(SdpError, match="no_audio"):
        build_answer(parse(HEAD.encode()), "127.0.20.1", 6000, PCMU, OURS)


def test_pass_through_changes_the_origin_only() -> None:
    body = (
        b"v=0\no=alice 1 2 IN IP4 192.0.2.1\r\ns= odd \r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        b"m=audio 4 RTP/AVP 0\r\na=x:\xff o=not me\r\n\r\nm=video 6 RTP/AVP 96\r\n"
    )
    assert rewrite_origin(body, OURS) == body.replace(
        b"o=alice 1 2 IN IP4 192.0.2.1", b"o=ringward 7 3 IN IP4 127.0.20.1"
    )


@given(st.lists(st.sampled_from([b"\r\n", b"\n"]), min_size=4, max_size=4), st.binary(max_size=40))
def test_pass_through_for_any_line_ends(ends: list[bytes], tail: bytes) -> None:
    body = b"v=0" + ends[0] + b"o=- 1 1 IN IP4 h" + ends[1] + b"s=-" + ends[2] + b"a=" + tail + ends[3]
    try:
        before = parse(body)
    except SdpError:
        return
    after = rewrite_origin(body, OURS)
    assert parse(after).origin == OURS
    assert rewrite_origin(after, before.origin) == body
