"""The two kinds of legs: `IncomingLeg` is a user agent server (a caller reached us), `OutgoingLeg` a client
(we called somebody). Once answered they are alike, see `engine.call.leg`.
"""

from __future__ import annotations

from engine.call.capabilities import ALLOW, SDP_TYPE, Headers
from engine.call.leg import Leg
from engine.call.leg_dialog import Listener
from engine.call.leg_incoming import IncomingLeg
from engine.call.leg_info import AGENT_HEADER
from engine.call.leg_outgoing import OutgoingLeg

__all__ = ["AGENT_HEADER", "ALLOW", "SDP_TYPE", "Headers", "IncomingLeg", "Leg", "Listener", "OutgoingLeg"]
