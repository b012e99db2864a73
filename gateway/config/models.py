"""The configuration's tables as frozen models; config.example.toml gives each key's unit, default and reason."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

# A name is shown in logs and reasons and used as a thread's name: one line, nothing that needs quoting.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.\-]{0,63}$")]
# PS3.5 6.2, VR AE: at most 16 characters of the default repertoire, no backslash, no control, not only blanks.
AeTitle = Annotated[str, Field(max_length=16, pattern=r"^ *[!-\[\]-~][ -\[\]-~]*$")]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:\-]+$")]  # a name, an IPv4 or an IPv6 address


# HTTPS, or HTTP to this machine: what travels there decides who gets in.
HttpsUrl = Annotated[
    str, Field(pattern=r"^(https://[^\s/?#@]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?)(/[^\s?#]*)?$")
]

PublicUrl = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]\-]+$")]


WebhookUrl = Annotated[str, Field(pattern=r"^$|^https?://[^\s]+$")]


class Section(BaseModel):
    """A table of the configuration: frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSection(Section):
    """Where bytes are kept, and when to stop taking more."""

    folder: Path = Path("data")
    database_url: SecretStr = SecretStr("")  # "" = SQLite in the folder
    database_url_file: Path | None = None  # a file that holds the URL, so that this one need not hold a password
    reserve_mb: int = Field(512, ge=0)  # below this much free space every door answers "out of resources"
    queue_max: int = Field(10_000, ge=1)  # jobs in RECEIVED before a door answers "out of resources"


class DicomScpSection(Section):
    """The C-STORE door."""

    enabled: bool = True
    ae_title: AeTitle = "CARDIOSCAN"
    host: Host = "127.0.0.1"
    port: int = Field(11112, ge=0, le=65535)  # 0 = any free port
    calling_ae_titles: tuple[AeTitle, ...] = ()  # () = any
    addresses: tuple[str, ...] = ()  # CIDR networks, () = any
    require_called_ae_title: bool = True
    associations_max: int = Field(20, ge=1)
    associations_per_address_max: int = Field(10, ge=1)
    store_within_s: float = Field(300.0, gt=0)  # an association without a C-STORE
    receive_rate_min_bytes_s: int = Field(1000, ge=0)  # while an object comes; 0 = any
    object_max_mb: int = Field(200, ge=1)
    network_timeout_s: float = Field(30.0, gt=0)


class FaxInboxSection(Section):
    """A polled folder."""

    name: Name
    folder: Path
    poll_s: float = Field(5.0, gt=0)
    settle_s: float = Field(3.0, ge=0)  # a file must not have grown for this long
    file_name_pattern: str = ""  # regular expression with named groups: patient_id, accession_number, ...
    file_max_mb: int = Field(100, ge=1)


class WorklistSection(Section):
    """A DICOM modality worklist that is asked whose ECG a held page may be."""

    name: Name
    host: Host
    port: int = Field(ge=1, le=65535)
    called_ae_title: AeTitle
    calling_ae_title: AeTitle = "CARDIOSCAN"
    timeout_s: float = Field(5.0, gt=0, le=60)  # for everything asked of it together: a person waits
    modality: str = Field("ECG", pattern=r"^[A-Z0-9_]{0,16}$")  # "" = any
    days_back: int = Field(7, ge=0, le=3650)
    days_ahead: int = Field(1, ge=0, le=3650)
    matches_max: int = Field(50, ge=1, le=500)


class Hl7FeedSection(Section):
    """The door for what the hospital tells of patients and orders: HL7 v2 over MLLP."""

    enabled: bool = False
    name: Name = "adt"  # who told it, for the person who is shown it
    host: Host = "127.0.0.1"
    port: int = Field(2576, ge=0, le=65535)  # 0 = any free port
    addresses: tuple[str, ...] = ()  # CIDR networks, () = any
    connections_max: int = Field(10, ge=1)
    connections_per_address_max: int = Field(8, ge=1)
    message_max_bytes: int = Field(1_000_000, ge=1000)
    message_timeout_s: float = Field(30.0, gt=0)  # from its first byte to its last
    idle_timeout_s: float = Field(3600.0, gt=0)  # between two messages
    first_message_timeout_s: float = Field(300.0, gt=0)  # for an address that never sent one
    character_set: Literal[
        "", "ASCII", "8859/1", "8859/2", "8859/5", "8859/7", "8859/9", "8859/15", "UNICODE UTF-8", "ISO IR87"
    ] = ""  # "" = as MSH-18 says
    identifier_types: tuple[str, ...] = ("MR", "PI")  # PID-3.5, the first preferred
    issuers: tuple[str, ...] = ()  # PID-3.4, the first preferred; () = any
    processing_ids: tuple[Literal["P", "T", "D"], ...] = Field(("P",), min_length=1)  # MSH-11
    keep_days: int = Field(30, ge=1)


class LimitsSection(Section):
    """Caps checked before anything is decoded."""

    pixels_max_megapixels: float = Field(120.0, gt=0)  # one page, decoded
    pages_max: int = Field(50, ge=1)  # one document


class PipelineSection(Section):
    """What digitizes, and when a digitized page is good enough to leave without a person."""

    confidence_min: float = Field(0.9, ge=0, le=1)
    page_seconds_max: float = Field(60.0, gt=0)  # as pipeline.deadline.PAGE_SECONDS_MAX
    read_twice: bool = False
    threads: int = Field(0, ge=0)  # torch threads, 0 = all cores
    device: Literal["auto", "cpu", "cuda"] = "auto"  # as pipeline.networks.DEVICES, which takes seconds to load

    @property
    def sure_from(self) -> float:
        """The confidence below which traces are read twice; infinite where all of them are."""
        return math.inf if self.read_twice else self.confidence_min


class IdentitySection(Section):
    """How a page gets its patient and its acquisition time."""

    require: tuple[str, ...] = ("patient_id",)
    acquired_at_from: tuple[str, ...] = ("AcquisitionDateTime", "AcquisitionDate", "StudyDate")


class WorkerSection(Section):
    """The digitizing processes."""

    processes: int = Field(1, ge=1)
    lease_s: float = Field(120.0, gt=0)
    poll_s: float = Field(0.5, gt=0)
    attempts_max: int = Field(2, ge=1)  # a job whose worker died this often is held as ours


class Backoff(Section):
    """Exponential back-off with full jitter, bounded; then the delivery is parked."""

    first_s: float = Field(2.0, gt=0)
    factor: float = Field(2.0, ge=1)
    ceiling_s: float = Field(900.0, gt=0)
    attempts_max: int = Field(300, ge=1)


class DicomDestination(Section):
    """A PACS that takes C-STORE."""

    kind: Literal["dicom"]
    name: Name
    host: Host
    port: int = Field(ge=1, le=65535)
    called_ae_title: AeTitle
    calling_ae_title: AeTitle = "CARDIOSCAN"
    timeout_s: float = Field(30.0, gt=0)
    encoding: Literal["viewers", "padded", "groups", "general"] = "viewers"
    waveform_originality: Literal["DERIVED", "ORIGINAL"] = "DERIVED"
    channel_codes: Literal["MDC", "SCPECG"] = "MDC"
    report: bool = True  # the PDF beside the waveform, as Encapsulated PDF
    intervals: bool = True  # PR, QRS, QT, QTc, RR and axes, with their errors
    backoff: Backoff = Backoff()


class MllpDestination(Section):
    """An EHR or interface engine that takes HL7 v2 over MLLP."""

    kind: Literal["mllp"]
    name: Name
    host: Host
    port: int = Field(ge=1, le=65535)
    timeout_s: float = Field(30.0, gt=0)
    version: Literal["2.3", "2.3.1", "2.4", "2.5", "2.5.1"] = "2.5.1"
    sending_application: str = "CARDIOSCAN"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    character_set: Literal["UNICODE UTF-8", "8859/1", "ASCII"] = "UNICODE UTF-8"
    aecg_layout: Literal["single_set", "strips", "none"] = "single_set"
    report: bool = True  # the PDF inside the message, as OBX ED
    intervals: bool = True  # PR, QRS, QT, QTc, RR and axes, with their errors
    message_max_bytes: int = Field(4_000_000, ge=1000)
    error_attempts_max: int = Field(3, ge=1)  # tries that got an answer, and no yes to this message
    backoff: Backoff = Backoff()


class FolderDestination(Section):
    """A folder that receives files."""

    kind: Literal["folder"]
    name: Name
    folder: Path
    documents: tuple[Literal["dicom_waveform", "aecg", "hl7v2", "pdf", "csv", "wfdb", "edf"], ...] = ("aecg",)
    aecg_layout: Literal["single_set", "strips"] = "single_set"
    encoding: Literal["viewers", "padded", "groups", "general"] = "viewers"
    waveform_originality: Literal["DERIVED", "ORIGINAL"] = "DERIVED"
    channel_codes: Literal["MDC", "SCPECG"] = "MDC"
    intervals: bool = True  # PR, QRS, QT, QTc, RR and axes, with their errors
    backoff: Backoff = Backoff()


Destination = Annotated[DicomDestination | MllpDestination | FolderDestination, Field(discriminator="kind")]


TEXT_OPERATORS = ("equals", "glob", "regex", "one_of")
NUMBER_OPERATORS = ("less_than", "at_most", "greater_than", "at_least")
OPERATORS = (*TEXT_OPERATORS, *NUMBER_OPERATORS, "present")


class Condition(Section):
    """One test on one field. Exactly one operator is set."""

    field: str  # one of gateway.config.fields
    equals: str | None = None
    glob: str | None = None
    regex: str | None = None  # of the whole value
    one_of: tuple[str, ...] | None = None
    present: bool | None = None  # true: there is a value; false: there is none
    less_than: float | None = None
    at_most: float | None = None
    greater_than: float | None = None
    at_least: float | None = None
    negate: bool = False

    @property
    def operators(self) -> tuple[str, ...]:
        """The operators that are set; a lawful condition has one."""
        return tuple(name for name in OPERATORS if getattr(self, name) is not None)


class Rule(Section):
    """If all conditions hold, do one thing: send, hold or refuse."""

    name: Name
    when: tuple[Condition, ...] = ()  # () = always
    send: tuple[str, ...] = ()  # written as [] it sends nowhere, and the page counts as delivered
    hold: str = ""  # the reason shown to a person; an approval answers it
    hold_even_approved: bool = False  # until a second person has approved it too
    refuse: str = ""  # the reason told in the worklist: the sender had its yes before anything was read

    @property
    def actions(self) -> tuple[str, ...]:
        """What the rule does; a lawful rule does one thing."""
        sends = bool(self.send) or "send" in self.model_fields_set
        return tuple(name for name, on in (("send", sends), ("hold", self.hold), ("refuse", self.refuse)) if on)


class RoutingSection(Section):
    """How rules combine. With no rules every recording goes to every destination."""

    match: Literal["first", "all"] = "first"
    otherwise: Literal["hold", "send_all"] = "hold"  # when no rule matches


class OidcSection(Section):
    """Signing in by the hospital's OpenID provider, which also says the role."""

    issuer: HttpsUrl  # as its discovery document says it
    client_id: str = Field(min_length=1)
    public_url: PublicUrl  # how browsers reach us: the provider sends them back there
    client_secret_file: Path | None = None  # None = a public client; PKCE is used either way
    ca_file: Path | None = None  # PEM of the authority that signed the provider's certificate
    label: str = "Hospital sign-in"  # on the button
    scopes: tuple[str, ...] = ("openid", "profile")
    name_claim: str = "preferred_username"
    role_claim: str = "roles"  # dots lead into tables, such as realm_access.roles
    viewer: tuple[str, ...] = ()  # values of the claim that make a viewer
    reviewer: tuple[str, ...] = ()
    administrator: tuple[str, ...] = ()


class WebSection(Section):
    """The window: pages for people, an API for programs."""

    enabled: bool = True
    host: Host = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)  # 0 = any free port
    tls_certificate: Path | None = None  # PEM, with the chain
    tls_key: Path | None = None  # PEM
    behind_proxy: bool = False  # a proxy in front speaks TLS and passes on X-Forwarded-For and -Proto
    proxy_addresses: tuple[str, ...] = ("127.0.0.1",)  # whose X-Forwarded headers are believed
    allow_plain_http_beyond_loopback: bool = False
    connections_max: int = Field(500, ge=10)
    connections_per_address_max: int = Field(100, ge=1)  # that keep us waiting; a proxy's do not count
    request_within_s: float = Field(10.0, gt=0)  # the TLS handshake and the headers of a request
    session_minutes: int = Field(30, ge=1)  # without a request
    session_max_hours: int = Field(12, ge=1)  # whatever is done
    lockout_failures: int = Field(5, ge=1)  # wrong passwords in a row
    lockout_minutes: int = Field(15, ge=1)
    password_min_characters: int = Field(12, ge=8)
    four_eyes: bool = False  # who corrected or identified a page may not approve it
    upload_max_mb: int = Field(200, ge=1)  # one request
    oidc: OidcSection | None = None

    @property
    def tls(self) -> bool:
        """Whether browsers come by HTTPS."""
        return self.tls_certificate is not None or self.behind_proxy


class AuditSection(Section):
    """How what the audit says is proven later: signed checkpoints of its head."""

    checkpoint_folder: Path | None = None  # None = checkpoints in data.folder; better one on another machine
    checkpoint_rows: int = Field(1000, ge=1)  # after so many entries
    checkpoint_minutes: float = Field(60.0, gt=0)  # and after so long, if there are any
    signing_key_file: Path | None = None  # PEM, Ed25519; None = audit-key.pem in data.folder, made at the first start
    origin: str = Field("cardioscan-gateway", pattern=r"^[A-Za-z0-9][A-Za-z0-9./_\-]{0,199}$")  # who signs


class RetentionSection(Section):
    """For how long what has ended is kept; 0 is for ever."""

    pages_days: int = Field(0, ge=0)  # page, what was read on it, and whose it is, after the job's last change
    documents_days: int = Field(0, ge=0)  # after their delivery
    audit_years: int = Field(0, ge=0)  # entries, with the rows of jobs that only they tell of


class NotifySection(Section):
    """Whom to tell, and from when on, that somebody must look. No notice names a patient."""

    webhook_url: WebhookUrl = ""  # "" = none
    smtp_host: str = Field("", pattern=r"^[A-Za-z0-9_.:\-]*$")  # "" = no e-mail
    smtp_port: int = Field(587, ge=1, le=65535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""  # "" = without signing in
    smtp_password_file: Path | None = None
    mail_from: str = ""
    mail_to: tuple[str, ...] = ()
    timeout_s: float = Field(10.0, gt=0)
    peer_down_minutes: float = Field(15.0, ge=0)
    held_minutes: float = Field(240.0, gt=0)  # of the page that waits longest for a person
    disk_free_mb: int = Field(2048, ge=0)
    certificate_days: float = Field(14.0, ge=0)
    repeat_hours: float = Field(24.0, gt=0)  # while it lasts


class LoggingSection(Section):
    """Log lines carry job ids and hashes only."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Config(Section):
    """The whole configuration."""

    data: DataSection = DataSection()
    dicom_scp: DicomScpSection = DicomScpSection()
    fax_inbox: tuple[FaxInboxSection, ...] = ()
    worklist: tuple[WorklistSection, ...] = ()
    hl7_feed: Hl7FeedSection = Hl7FeedSection()
    limits: LimitsSection = LimitsSection()
    pipeline: PipelineSection = PipelineSection()
    identity: IdentitySection = IdentitySection()
    worker: WorkerSection = WorkerSection()
    destination: tuple[Destination, ...] = ()
    routing: RoutingSection = RoutingSection()
    rule: tuple[Rule, ...] = ()
    web: WebSection = WebSection()
    audit: AuditSection = AuditSection()
    retention: RetentionSection = RetentionSection()
    notify: NotifySection = NotifySection()
    logging: LoggingSection = LoggingSection()
