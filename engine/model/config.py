"""The configuration, as types. The loader is `engine.app.config`; the key names here are the TOML's.

Paths are absolute once loaded. Unknown keys are errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from engine.model.address import Address, PortRange
from engine.model.edge_section import EdgeSection
from engine.model.section import Section
from engine.model.trunk_sections import RouteSection, TrunkSection


class NodeSection(Section, frozen=True):
    id: str = "node-1"
    worker: str = "w1"


class TlsSection(Section, frozen=True):
    listen: Address | None = None
    """Where SIP over TLS is taken; without it none is spoken."""
    certificate: Path | None = None
    """PEM, the chain included; shown to servers that ask for one too."""
    key: Path | None = None
    ca: Path | None = None
    """PEM of the authorities that peers' certificates come from; without it the system's."""
    verify_clients: bool = False
    """Refuse who connects without a certificate of these authorities."""


class SipSection(Section, frozen=True):
    listen: Address = Address("127.0.20.1", 5060)
    tcp: bool = True
    """Take SIP over TCP at `listen` too."""
    tls: TlsSection = TlsSection()
    no_answer_s: float = 60.0
    """How long a callee may ring."""
    drain_s: float = 10.0
    """Told to stop, calls that are up may go on for so long; new ones get 503, emergency calls are taken."""
    audit_s: float = 45.0
    """A side of a connected call that sends us no media is asked so often whether it is there; 0: never.

    Its call ends at the latest so long and 32 s after it has vanished. As long as media.rtp_timeout_s, calls
    of direct media end as soon as others do, for two OPTIONS a call each time (10,000 calls: 444 a second);
    300 makes that 67. A peer that answers no OPTIONS inside a call, against RFC 3261 §8.2, needs 0, or
    media.anchor = "always".
    """
    failover_s: float = 3.5
    """A next hop that has not answered an INVITE at all by then is left for the next, where there is one."""
    redirects: int = 5
    """So many contacts of 3xx responses are followed for one call; 0: a redirected call ends with 480."""
    session_expires_s: int = 1800
    """A session without a refresh is over after so long (RFC 4028), at least 90; 0: none is asked for."""
    receive_buffer_bytes: int = 4 * 1024 * 1024
    dns: tuple[Address, ...] = ()
    """Name servers for next hops and targets that are names; empty: those of /etc/resolv.conf."""
    dns_timeout_s: float = 2.0
    """For each question, all attempts together."""
    trace: Literal["off", "headers", "full"] = "off"
    """Keep the SIP messages of every call below data.folder, readable by `ringward calls trace`.

    They hold numbers, names and addresses in clear: "headers" leaves out bodies, "full" keeps session
    descriptions too. Credentials and the texts of messages are never kept. Off unless a fault is looked for;
    `ringward calls trace-on` turns it on for a while, and the journal tells who did.
    """
    trace_total_mb: int = 256
    """Of all trace files of a worker together; the oldest go first."""
    trace_days: int = 7
    """Trace files older than that are deleted."""

    def __post_init__(self) -> None:
        if 0 < self.session_expires_s < 90 or self.session_expires_s < 0:
            raise ValueError(f"session_expires_s = {self.session_expires_s}: at least 90, or 0 for none")


class LimitsSection(Section, frozen=True):
    """What peers may cost. Trunks' addresses are throttled, never banned; calls to emergency numbers pass."""

    messages_per_s: float = 100.0
    """From one address that is no trunk's; bursts of twice as many pass."""
    trunk_messages_per_s: float = 20_000.0
    """The same of a trunk's address."""
    sources_per_worker: int = 10_000
    """Addresses remembered; one more takes the place of the oldest that is quiet."""
    ban_after: int = 1_000
    """So many messages dropped without a pause ban an address."""
    ban_s: float = 10.0
    """The first ban; each further one is twice as long, up to `longest_ban_s`."""
    longest_ban_s: float = 3_600.0
    connections: int = 2_000
    """By TCP and TLS each, from all addresses that are no trunk's; each trunk's address has as many."""
    connections_per_source: int = 64
    """From one address that is no trunk's."""
    message_s: float = 10.0
    """For a stream's message, from its first byte on; also for a connection's first one to come."""
    idle_s: float = 600.0
    """A connection on which nothing moves is closed."""
    connect_s: float = 4.0
    """For opening a connection, TLS handshake included."""


class MediaSection(Section, frozen=True):
    address: str = ""
    """Host in SDP; empty: that of sip.listen."""
    ports: PortRange = PortRange(20000, 29999)
    anchor: Literal["needed", "always"] = "needed"
    """"needed": media of calls that are neither warned nor recorded goes past us. Calls to emergency numbers
    always do so."""
    rtp_timeout_s: float = 45.0
    """A connected, anchored call without RTP for so long is ended; 0 turns it off."""


class DataSection(Section, frozen=True):
    folder: Path = Path("var/data")


class ScreeningSection(Section, frozen=True):
    table: Path | None = None
    """CSV of risk numbers: number,level,action,reason,expires."""
    policy: Path = Path("dialplans/screening/default.toml")
    shadow_policy: Path | None = None
    callback_window_s: float = 1800.0
    """After an emergency call the subscriber's incoming calls bypass screening for so long (RFC 7090)."""


class PopupSection(Section, frozen=True):
    sip_message: bool = True
    sender: str = "96110"
    """User part of the From of the MESSAGE."""
    deadline_ms: int = 300
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=600)] = 10
    """To one subscriber, by MESSAGE and to the handset page alike; further ones are not sent."""


class WarningSection(Section, frozen=True):
    key_timeout_s: float = 10.0
    """After the warning's last word, how long a key is waited for."""
    repeat: int = 1
    dial_pause_s: float = 3.0
    """After the warning on dial, how long the subscriber has to hang up before the call goes out."""


class RecordingSection(Section, frozen=True):
    """Recording is off until purpose, legal basis and retention are named."""

    enabled: bool = False
    purpose: str = ""
    legal_basis: str = ""
    retention_days: int = 0


class RedressSection(Section, frozen=True):
    """Where a wrongly blocked caller turns to, told in a signed card (608, RFC 8688) or a Reason (603+)."""

    url: str = ""
    """Appeal page; with neither this nor `tel` nor `email` there are no cards (RFC 8688 §3.2.2)."""
    policy: Literal["always", "validated", "never"] = "always"
    """Who is told: "validated" is callers whose number is proved by a full attestation (RFC 8588)."""
    card_url: str = ""
    """Where the console's cards are reached, without the code; empty: /jcard/ beside the appeal page."""
    organisation: str = "Ringward"
    """Name on the card."""
    tel: str = ""
    """E.164 with plus."""
    email: str = ""

    @property
    def cards(self) -> str:
        """Cards' address up to the appeal code, ending in a slash; empty where there are none."""
        base = self.card_url or (self.url.rpartition("/")[0] + "/jcard" if self.url else "")
        return base.rstrip("/") + "/" if base and (self.url or self.tel or self.email) else ""


class CountersSection(Section, frozen=True):
    """Counters of recent calls, for conditions such as caller_short_calls_3600s; one set a worker."""

    callers: Annotated[int, msgspec.Meta(ge=16, le=1_000_000)] = 10_000
    """Callers known at a time, 2 kB each; the idle ones give way, those who call often stay."""
    prefixes: Annotated[int, msgspec.Meta(ge=16, le=100_000)] = 2_000
    """Number ranges known at a time, 5 kB each."""
    prefix_digits: Annotated[int, msgspec.Meta(ge=1, le=15)] = 9
    """Digits of E.164 that make a range: 9 is a number segment (+86 138 0013) in mainland China."""
    routes: Annotated[int, msgspec.Meta(ge=4, le=10_000)] = 64
    """Trunks calls come over, 17 kB each."""
    short_call_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10.0
    """An answered call that is over sooner is a short one."""


class SubscribersSection(Section, frozen=True):
    prefixes: tuple[str, ...] = ()
    """E.164 prefixes with plus of the numbers behind the access trunk; used for calls from there."""
    language: str = "zh-CN"
    languages: dict[str, str] = msgspec.field(default_factory=dict)
    """Number → "en" or "zh-CN" for those who prefer another than `language`."""


class NumberingSection(Section, frozen=True):
    country_code: str = "86"
    region: str = "CN"
    short_codes: tuple[str, ...] = ()
    """The tenant's own, beside the national ones."""


class BusSection(Section, frozen=True):
    url: str = ""
    """mqtt://host:port; empty: no bus ("ringward up" starts the embedded broker)."""
    embedded: Address = Address("127.0.0.1", 18830)
    """Where "ringward up" lets its own broker listen when `url` is empty."""


class StoreSection(Section, frozen=True):
    url: str = ""
    """SQLAlchemy URL; empty: SQLite in data.folder."""


class ConsoleSection(Section, frozen=True):
    host: str = "127.0.0.1"
    port: int = 8080


class DissuasionSection(Section, frozen=True):
    enabled: bool = False
    caller: str = ""
    """Number the dissuasion calls come from; it must be assigned to the tenant."""
    agent: Address = Address("127.0.20.2", 5060)
    """Where the agent's user agent listens."""
    script: str = "general"
    delay_s: float = 5.0
    """From the end of the warned call to the dissuasion call."""


class MetricsSection(Section, frozen=True):
    """Prometheus text at http://LISTEN/metrics; the console serves its own at /metrics of its own port."""

    listen: Address = Address("127.0.0.1", 0)
    """Of the engine; agent and edge of "ringward up" take the two next ports. Port 0: off."""
    token: str = ""
    """Asked for as "Authorization: Bearer …" when set; needed where `listen` is not a loopback address."""


class LoggingSection(Section, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    """"json": one object a line. Telephone numbers are masked in both."""


class SpeechSection(Section, frozen=True):
    models: dict[str, Path] = msgspec.field(default_factory=dict)
    """Language → folder of a Vosk model."""


class Config(Section, frozen=True):
    tenant: str = "default"
    node: NodeSection = NodeSection()
    sip: SipSection = SipSection()
    limits: LimitsSection = LimitsSection()
    media: MediaSection = MediaSection()
    data: DataSection = DataSection()
    screening: ScreeningSection = ScreeningSection()
    counters: CountersSection = CountersSection()
    popup: PopupSection = PopupSection()
    warning: WarningSection = WarningSection()
    recording: RecordingSection = RecordingSection()
    redress: RedressSection = RedressSection()
    trunk: dict[str, TrunkSection] = msgspec.field(default_factory=dict)
    route: RouteSection = RouteSection()
    edge: EdgeSection = EdgeSection()
    subscribers: SubscribersSection = SubscribersSection()
    numbering: NumberingSection = NumberingSection()
    bus: BusSection = BusSection()
    store: StoreSection = StoreSection()
    console: ConsoleSection = ConsoleSection()
    dissuasion: DissuasionSection = DissuasionSection()
    speech: SpeechSection = SpeechSection()
    metrics: MetricsSection = MetricsSection()
    logging: LoggingSection = LoggingSection()

    @property
    def media_address(self) -> str:
        return self.media.address or self.sip.listen.host

    @property
    def hot_table(self) -> Path:
        return self.data.folder / "risk.hot"

    @property
    def switches_file(self) -> Path:
        return self.data.folder / "switches.json"

    @property
    def callbacks_file(self) -> Path:
        return self.data.folder / "callbacks"

    @property
    def journal_folder(self) -> Path:
        return self.data.folder / "journal"

    @property
    def recordings_folder(self) -> Path:
        return self.data.folder / "recordings"

    @property
    def traces_folder(self) -> Path:
        return self.data.folder / "traces"

    @property
    def trace_switch_file(self) -> Path:
        return self.data.folder / "trace.json"

    @property
    def store_url(self) -> str:
        return self.store.url or f"sqlite+aiosqlite:///{self.data.folder / 'ringward.sqlite'}"

    def language_of(self, number: str) -> str:
        """Language of a subscriber, by display number (+86…)."""
        return self.subscribers.languages.get(number, self.subscribers.language)
