"""Session descriptions (RFC 8866) and the offer/answer helpers the call logic needs (RFC 3264). Pure."""

from engine.sdp.description import (
    Connection,
    Direction,
    Line,
    Media,
    Origin,
    RtpMap,
    SdpError,
    SessionDescription,
    parse,
)
from engine.sdp.negotiation import (
    AudioTarget,
    answer_direction,
    audio_target,
    build_answer,
    build_offer,
    build_refusal,
    choose_codec,
    rewrite_origin,
)

__all__ = [
    "AudioTarget",
    "Connection",
    "Direction",
    "Line",
    "Media",
    "Origin",
    "RtpMap",
    "SdpError",
    "SessionDescription",
    "answer_direction",
    "audio_target",
    "build_answer",
    "build_offer",
    "build_refusal",
    "choose_codec",
    "parse",
    "rewrite_origin",
]
