"""What goes into the call core and what comes out of it, beside datagrams.

Effects are told to the runtime, which does them; commands are what the runtime tells the core.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

import msgspec

from engine.call.credentials import Credentials
from engine.model.address import Address
from engine.model.commands import Acknowledgement
from engine.model.events import AnyEvent, Party
from engine.model.ids import CallId, CaseId, CommandId
from engine.model.media import AnyMediaCommand, AnyMediaEvent
from engine.model.screening import Action, HotEntry, Verdict
from engine.sdp import OwnAddresses
from engine.sip.location import Family, Location
from engine.sip.plain import PlainInvite
from engine.sip.uri import Uri

NOTHING_OWN: Final = OwnAddresses(loopback=True)
NO_CONTACTS: Final[Mapping[str, Address]] = MappingProxyType({})


class ScreeningRequest(msgspec.Struct, frozen=True):
    """A new call as it came from the wire: untrusted text, not yet normalised."""

    trunk: str
    calling: str
    """User part of From."""
    called: str
    """User part of the Request-URI."""
    request_uri: str
    display: str
    asserted: str | None
    """User part of P-Asserted-Identity, from trusted trunks only (RFC 3325)."""
    diversion: tuple[str, ...]


class Popup(msgspec.Struct, frozen=True):
    """A text for the callee, before the phone rings."""

    kind: str
    language: str
    text: Mapping[str, str]
    """Language → text."""


class Hop(msgspec.Struct, frozen=True):
    """One place that a call may leave to: an address which needs no look-up, and who we are there."""

    address: Address
    transport: str = "udp"
    """As in `Flow`."""
    trunk: str = ""
    credentials: Credentials | None = None
    called_user: str = ""
    """The called number as this trunk wants it; empty: as the caller dialled it."""
    calling_user: str = ""
    """The same of the calling number."""
    failover_statuses: tuple[int, ...] = ()
    """Answers after which the next hop is tried; so are no answer and no connection."""
    trusted: bool = False
    """P-Asserted-Identity may go there (RFC 3325)."""


class Decision(msgspec.Struct, frozen=True):
    """A verdict with everything its execution needs, so that the core looks nothing up."""

    action: Action
    calling: Party
    called: Party
    rule: str = ""
    reason: str = ""
    level: str = ""
    policy_version: str = ""
    table_version: int = 0
    shadow_action: str = ""
    appeal_code: str = ""
    status: int = 608
    """Of a reject: 608 is the engine's decision, 607 the callee's own refusal."""
    protected: bool = False
    """To or from an emergency or police number: never refused, announced to, recorded."""
    hops: tuple[Hop, ...] = ()
    """Where the call may go, the first to be tried first; empty: nowhere."""
    unrouted: str = ""
    """Why nowhere: "not_routed", "unreachable" (no target known), "over_limit"."""
    retry_after_s: int = 0
    """When there may be room again, where all is over its limit."""
    pass_identity: bool = False
    """P-Asserted-Identity of the caller's trunk is believed: it goes on to trusted hops (RFC 3325)."""
    language: str = "en"
    """Of the person who hears the warning."""
    label: str | None = None
    """Display name the callee sees instead of the caller's own."""
    popup: Popup | None = None
    announcement: str = ""
    """Slug of what the caller of a block, the warned callee or the warned subscriber hears."""
    record: bool = False
    redress: str = ""
    """URI of the appeal page: of a block, with its code; of a label, without."""
    card: str = ""
    """URI of the signed card with the same, for the Call-Info of a 608 (RFC 8688)."""


class Block(msgspec.Struct, frozen=True):
    """The verdict on a call that is refused at the gate, and what its answer says."""

    entry: HotEntry
    verdict: Verdict
    decided: datetime
    decision: Decision | None
    """Of a block that stands for the caller's further calls by this trunk (`engine.screening.standing`)."""
    status: int
    redress: str
    card: str


class Redress(msgspec.Struct, frozen=True):
    """Whom blocked callers may ask, beside the appeal page."""

    tel: str = ""
    email: str = ""


class CallSettings(msgspec.Struct, frozen=True):
    """The part of the configuration that moves calls."""

    tenant: str
    contact: Address
    """Where we listen, by UDP and TCP; see `contacts` for other transports."""
    no_answer_s: float
    key_timeout_s: float
    warning_repeat: int
    dial_pause_s: float
    popup_deadline_s: float
    popup_sender: str
    popup_by_sip: bool
    dissuasion_agent: Address
    failover_s: float = 3.5
    """A hop that has not said anything by then is left for the next, where there is one."""
    redirects: int = 5
    """So many contacts of 3xx responses are followed for a call; 0: none."""
    redress: Redress = Redress()
    anchor_always: bool = False
    """Media goes through the media worker though nothing asks for it."""
    as_it_came: str = ""
    """The trunk whose calls leave by the transport that they came by, or else by its own."""
    own: OwnAddresses = NOTHING_OWN
    """Where no description of a peer may point."""
    audit_s: float = 45.0
    """A leg that neither media nor a short session timer watches is asked so often if it lives; 0: never."""
    rtp_timeout_s: float = 45.0
    """As the media worker has it; 0: it tells of no silence."""
    session_expires_s: int = 1800
    """How long sessions live without a refresh (RFC 4028); 0: the engine asks for no session timer."""
    popups_per_minute: int = 10
    """To one subscriber; further ones are not sent."""
    popup_by_bus: bool = True
    """There is a broker, so pages can be told."""
    contacts: Mapping[str, Address] = msgspec.field(default_factory=lambda: NO_CONTACTS)
    """Transport → where we listen for it, for those that are not at `contact`."""


# --- effects -----------------------------------------------------------------


class ScreeningRequested(msgspec.Struct, frozen=True):
    call_id: CallId
    request: ScreeningRequest


class MediaRequested(msgspec.Struct, frozen=True):
    command: AnyMediaCommand


class PopupRequested(msgspec.Struct, frozen=True):
    """Publish the popup to the pages; answered by `PopupPublished`."""

    call_id: CallId
    popup_id: str
    popup: Popup
    called: Party
    calling: Party


class EventRaised(msgspec.Struct, frozen=True):
    event: AnyEvent


class CallRefused(msgspec.Struct, frozen=True):
    """A call was answered at the gate; hand it back to `SipCore.tell` soon, for its events and its popup."""

    call_id: CallId
    trunk: str
    invite: PlainInvite
    block: Block
    status: int


class CommandAnswered(msgspec.Struct, frozen=True):
    acknowledgement: Acknowledgement


class LegOpened(msgspec.Struct, frozen=True):
    """A call has a dialog of its own making under this Call-ID; told only after `TellLegs(on=True)`."""

    call_id: CallId
    role: str
    """"callee", "agent", or "popup" for the MESSAGE to the callee's phone."""
    sip_call_id: str


class ResolveRequested(msgspec.Struct, frozen=True):
    """Find the servers of a URI (RFC 3263); answered by `Resolved` with the same id."""

    query_id: str
    uri: Uri
    transports: tuple[str, ...]
    """Those we speak, the dearest first."""
    families: tuple[Family, ...]


# --- commands ----------------------------------------------------------------


class ScreeningDecided(msgspec.Struct, frozen=True):
    call_id: CallId
    decision: Decision


class MediaReported(msgspec.Struct, frozen=True):
    event: AnyMediaEvent


class PopupPublished(msgspec.Struct, frozen=True):
    popup_id: str
    result: str
    """"acknowledged", "dropped" or "off"."""


class PlaceCall(msgspec.Struct, frozen=True):
    """A dissuasion call: the victim first, the agent on answer."""

    command_id: CommandId
    case_id: CaseId
    calling: Party
    called: Party
    calling_user: str
    called_user: str
    hop: Hop
    language: str
    script: str
    record: bool


class EndCallNow(msgspec.Struct, frozen=True):
    command_id: CommandId
    call_id: CallId


class Drain(msgspec.Struct, frozen=True):
    """Take no new calls; with `end_calls` also say BYE to those that are up."""

    end_calls: bool = False


class Resolved(msgspec.Struct, frozen=True):
    query_id: str
    location: Location


class TellLegs(msgspec.Struct, frozen=True):
    """Tell of each leg that is opened from now on, or no longer."""

    on: bool


CallCommand = (
    ScreeningDecided | MediaReported | PopupPublished | PlaceCall | EndCallNow | Drain | TellLegs | Resolved
)
CallEffect = (
    ScreeningRequested
    | MediaRequested
    | PopupRequested
    | EventRaised
    | CallRefused
    | CommandAnswered
    | LegOpened
    | ResolveRequested
)
