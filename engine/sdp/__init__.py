"""Session descriptions (RFC 8866) and the offer/answer helpers the call logic needs (RFC 3264). Pure."""

from engine.sdp.addresses import OwnAddresses
from engine.sdp.description import (
    Connection,
    Direction,
    Line,
    Media,
    Origin,
    RtpMap,
    SessionDescription,
    check_targets,
    parse,
)
from engine.sdp.errors import SdpError
from engine.sdp.negotiation import (
    AudioTarget,
    answer_direction,
    audio_target,
    both_ways,
    build_answer,
    build_offer,
    build_refusal,
    choose_codec,
    rewrite_origin,
)
from engine.sdp.passing import origin_place

__all__ = [
    "AudioTarget",
    "Connection",
    "Direction",
    "Line",
    "Media",
    "Origin",
    "OwnAddresses",
    "RtpMap",
    "SdpError",
    "SessionDescription",
    "answer_direction",
    "audio_target",
    "both_ways",
    "build_answer",
    "build_offer",
    "build_refusal",
    "check_targets",
    "choose_codec",
    "origin_place",
    "parse",
    "rewrite_origin",
]
