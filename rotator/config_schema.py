"""The shape of the configuration file: which keys there are, what each takes, and the JSON schema for editors.

What several keys must fulfil together is checked in ``rotator.config_checks``. The models are pydantic's; what they
complain of is put into our words, with its line, by ``rotator.config_shape``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    WithJsonSchema,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from rotator import config_values as values
from rotator.durations import EXAMPLES, PATTERN, parse_duration, parse_positive_duration
from rotator.faults import InvalidValueError
from rotator.presets import PRESETS, parse_preset
from rotator.template import Template
from rotator.windows import parse_cron, parse_timezone, parse_window_duration

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "proxmox-token-rotator configuration"


def _text(parse: Callable[[str], str], **schema: Any) -> tuple[AfterValidator, WithJsonSchema]:  # noqa: ANN401 - JSON
    return AfterValidator(parse), WithJsonSchema({"type": "string", **schema})


def _zone_name(name: str) -> str:
    parse_timezone(name)
    return name


def _template(text: str) -> str:
    Template.parse(text)
    return text


def _refuse_literal(raw: object) -> object:
    if isinstance(raw, str | int | float):
        advice = "write {env: NAME}, {file: /path} or {backend: NAME, ...}; and change the secret, it was written down"
        raise InvalidValueError("a secret does not stand in the configuration itself", advice)
    return raw


def _reference_kind(raw: object) -> str | None:
    keys = raw.keys() if isinstance(raw, dict) else ()
    return next((f"({key})" for key in ("env", "file", "backend") if key in keys), None)


def _operator_kind(raw: object) -> str | None:
    keys = raw.keys() if isinstance(raw, dict) else ()
    if "token_id" in keys or "token_secret" in keys:
        return "(token)"
    if ("user" in keys or "password" in keys) and "backend" not in keys:
        return "(ticket)"
    return "(record)" if keys else None


_DURATION_SCHEMA = WithJsonSchema({"type": "string", "pattern": f"^{PATTERN}$", "minLength": 2})
Duration = Annotated[timedelta, BeforeValidator(parse_duration), _DURATION_SCHEMA]
Span = Annotated[timedelta, BeforeValidator(parse_positive_duration), _DURATION_SCHEMA]
Name = Annotated[str, *_text(values.parse_name, pattern=f"^{values.NAME_PATTERN}$")]
Base = Annotated[str, *_text(values.parse_base, pattern=f"^{values.BASE_PATTERN}$")]
Userid = Annotated[str, *_text(values.parse_userid, pattern="^[^!]+@[^!@]+$")]
FilePath = Annotated[str, *_text(values.parse_file, pattern="^/")]
ApiPath = Annotated[str, *_text(values.parse_probe, pattern="^/")]
Endpoint = Annotated[str, *_text(values.parse_endpoint, pattern="^[^/]+$")]
ListenAddress = Annotated[str, *_text(values.parse_listen)]
HostName = Annotated[str, *_text(values.parse_host)]
PresetName = Annotated[str, *_text(parse_preset, enum=sorted(PRESETS))]
Url = Annotated[str, *_text(values.parse_url, pattern="^https://")]
FieldText = Annotated[str, *_text(_template)]
Fields = Annotated[dict[Annotated[str, Field(min_length=1)], FieldText], Field(min_length=1)]
StrategyName = Literal["fresh", "regenerate"]
OccasionName = Literal["failed", "recovered", "needs-attention", "locked-out", "expiring", "orphan"]
ChannelNames = Annotated[tuple[Name, ...], Strict(strict=False)]
Argv = Annotated[tuple[str, ...], Strict(strict=False), AfterValidator(values.parse_argv), Field(min_length=1)]


class Part(BaseModel):
    """A mapping in the file: nothing is converted, no unknown key accepted."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


class EnvPart(Part):
    """A secret in an environment variable."""

    env: Annotated[str, *_text(values.parse_variable)] = Field(description="The environment variable that holds it.")


class FilePart(Part):
    """A secret in a file that not everybody may read."""

    file: FilePath = Field(description="The file that holds it and nothing else.")


class BackendPart(Part):
    """A secret in a backend's record: its place, in that backend's own words, and the key in the record."""

    model_config = ConfigDict(extra="allow")

    backend: Name = Field(description="The backend, a name under `backends`.")
    key: str = Field("token_secret", min_length=1, description="The key in the record.")


Reference = Annotated[
    Annotated[EnvPart, Tag("(env)")] | Annotated[FilePart, Tag("(file)")] | Annotated[BackendPart, Tag("(backend)")],
    Discriminator(_reference_kind),
    BeforeValidator(_refuse_literal),
]


class PlacePart(Part):
    """A place in a backend, in that backend's own words, and how the record there shows a token."""

    model_config = ConfigDict(extra="allow")

    backend: Name = Field("file", description="The backend, a name under `backends`. Default: `file`, always there.")
    preset: PresetName | None = Field(None, description="The keys that a well-known consumer wants.")
    fields: Fields | None = Field(
        None, description="Keys of your own with what is under each, made of variables such as {token_id}."
    )
    canonical: bool | None = Field(
        None, description="Whether token_id and token_secret stand beside them. Default: only if needed."
    )


class RecordPart(PlacePart):
    """The operator is a token whose record is in a backend; it may be rotated."""

    model_config = ConfigDict(
        json_schema_extra={"not": {"anyOf": [{"required": [key]} for key in ("token_id", "user", "password")]}}
    )


class TokenPart(Part):
    """The operator is a token that nobody rotates."""

    token_id: Annotated[str, *_text(values.parse_token_id, pattern="^[^!]+@[^!@]+![^!]+$")] = Field(
        description="Its full id, user@realm!name."
    )
    token_secret: Reference = Field(description="Where its secret is.")


class TicketPart(Part):
    """The operator is a user who logs in with a password."""

    user: Userid = Field(description="The user, name@realm.")
    password: Reference = Field(description="Where the password is.")
    totp: Reference | None = Field(None, description="Where the key of the user's one-time passwords (base32) is.")


Operator = Annotated[
    Annotated[RecordPart, Tag("(record)")]
    | Annotated[TokenPart, Tag("(token)")]
    | Annotated[TicketPart, Tag("(ticket)")],
    Discriminator(_operator_kind),
]


class TlsPart(Part):
    """How a cluster's certificates are checked: exactly one of these; without any, as the system trusts."""

    ca: FilePath | None = Field(None, description="A PEM file with the certificate authority to trust.")
    fingerprint: Annotated[str, *_text(values.parse_fingerprint)] | None = Field(
        None, description="The SHA-256 fingerprint of the one certificate to accept."
    )
    unsafe_skip_verification: bool = Field(
        default=False, description="Check nothing: whoever sits in between can read every token. For a lab only."
    )


class TimeoutsPart(Part):
    """How long to wait for a node."""

    connect: Span = Field(timedelta(seconds=5), description="For a connection. Default: 5s.")
    read: Span = Field(timedelta(seconds=35), description="For an answer; PVE gives up after 30 s. Default: 35s.")


class ClusterPart(Part):
    """One PVE installation."""

    endpoints: Annotated[tuple[Endpoint, ...], Strict(strict=False)] = Field(
        min_length=1, description="Its nodes: host, host:port or [v6]:port. The port is 8006 if left out."
    )
    tls: TlsPart = Field(
        default_factory=TlsPart, description="How its certificates are checked. Default: as the system trusts."
    )
    timeouts: TimeoutsPart = Field(default_factory=TimeoutsPart, description="How long to wait for a node.")
    operator: Operator = Field(description="As whom tokens are managed: a record, a token, or a user with a password.")


class GrantPart(Part):
    """One entry of the new token's access control list."""

    path: Annotated[str, *_text(values.parse_acl_path, pattern="^/")] = Field(description="The path, such as /vms/100.")
    role: Annotated[str, *_text(values.parse_role)] = Field(description="The role, such as PVEVMAdmin.")
    propagate: bool = Field(default=True, description="Whether it holds below the path too. Default: true.")


class WindowPart(Part):
    """When due rotations may happen."""

    cron: Annotated[str, *_text(parse_cron)] = Field(
        description="When it opens: minute, hour, day of month, month, weekday."
    )
    duration: Annotated[Span, AfterValidator(parse_window_duration)] = Field(
        description="How long it stays open: 7d at most."
    )
    timezone: Annotated[str, *_text(_zone_name)] = Field(
        "UTC", description="The time zone of the cron expression, such as Europe/Vienna. Default: UTC."
    )


Windows = Annotated[tuple[WindowPart, ...], Strict(strict=False), Field(min_length=1)]
Probes = Annotated[tuple[ApiPath, ...], Strict(strict=False), Field(min_length=1)]
Grants = Annotated[tuple[GrantPart, ...], Strict(strict=False), Field(min_length=1)]
Places = Annotated[tuple[PlacePart, ...], Strict(strict=False), Field(min_length=1)]

_EVERY = f"How often to rotate, {EXAMPLES}. Default: 30d."
_OVERLAP = "How long the old token works on after the new one is published. Default: 24h; 0s ends it at once."
_LIFETIME = "PVE's own end of each token: at least every + overlap, and three times overlap. Default: none."
_IN_FLIGHT = "How long another rotator's unfinished rotation is left alone. Default: 10m."
_PRIVSEP = "Whether a token has privileges of its own (grants) instead of its user's. Default: true."
_WINDOWS = "When due rotations may happen. What is expiring is rotated at any time. Default: always."
_STRATEGY = "fresh: a new name every time, with overlap. regenerate: the same name, without overlap. Default: fresh."
_PROBES = "Paths that a new token must be able to GET before it is published."
_HOOKS = "Commands that are run after its record was written, or a token of it deleted. Default: none."
_NOTIFY = "The channels that are told of it, names under `notify.channels`. Default: all."


class HookPart(Part):
    """A command; it is told what happened by variables ROTATE_..., and as JSON on its standard input."""

    run: Argv = Field(description="The program, by its absolute path, and its arguments. No shell is involved.")
    timeout: Span = Field(timedelta(seconds=30), description="How long it may take until it is killed. Default: 30s.")


Commands = Annotated[tuple[HookPart, ...], Strict(strict=False)]


class HooksPart(Part):
    """Commands that are run for a credential. That one fails is told, and changes nothing."""

    after_publish: Commands = Field((), description="After its record was written and proven to work.")
    after_revoke: Commands = Field((), description="After one of its tokens was deleted.")


class RulesPart(Part):
    """What holds for a credential and may stand under `defaults` for all."""

    every: Span | None = Field(None, description=_EVERY)
    overlap: Duration | None = Field(None, description=_OVERLAP)
    lifetime: Span | None = Field(None, description=_LIFETIME)
    in_flight: Span | None = Field(None, description=_IN_FLIGHT)
    privsep: bool | None = Field(None, description=_PRIVSEP)
    windows: Windows | None = Field(None, description=_WINDOWS)
    strategy: StrategyName | None = Field(None, description=_STRATEGY)
    probes: Probes | None = Field(None, description=_PROBES)
    hooks: HooksPart | None = Field(None, description=_HOOKS)
    notify: ChannelNames | None = Field(None, description=_NOTIFY)


class CredentialPart(RulesPart):
    """One managed token."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["destination"]}, {"required": ["destinations"]}]}
    )

    name: Name = Field(description="Its name; no two are the same.")
    cluster: Name = Field(description="The cluster, a name under `clusters`.")
    user: Userid = Field(description="The user that the tokens belong to, name@realm.")
    base: Base | None = Field(None, description="What the names of its tokens begin with. Default: its name.")
    grants: Grants | None = Field(None, description="What a token may do. Default: what its predecessor may.")
    destination: PlacePart | None = Field(None, description="Where its record goes, if that is one place.")
    destinations: Places | None = Field(None, description="Where its record goes; the first decides what is current.")
    adopt: bool = Field(default=False, description="Take over a token that was made by others. Default: false.")
    paused: bool = Field(default=False, description="Leave it alone for now. Default: false.")
    operator: bool = Field(default=False, description="It is the operator of its cluster itself. Default: false.")


class BackendEntry(Part):
    """A secrets store: its type, and settings in the words of that type."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(min_length=1, description="The kind of store: file, vault, aws, kubernetes, ...")
    single_writer: bool = Field(
        default=False,
        description="I see to it that nobody else writes there: accept a store without compare-and-set.",
    )


class RetriesPart(Part):
    """How long the service waits after a failure."""

    first: Span = Field(timedelta(minutes=1), description="After the first; twice as long each time. Default: 1m.")
    most: Span = Field(timedelta(hours=6), description="At most; from then on a person is needed. Default: 6h.")


class LeasePart(Part):
    """The Kubernetes Lease by which several instances agree who works."""

    name: Annotated[str, *_text(values.parse_object_name)] = Field(description="The name of the Lease; it is made.")
    namespace: Annotated[str, *_text(values.parse_object_name)] | None = Field(
        None, description="Its namespace. Default: the pod's own."
    )


class ListenTlsPart(Part):
    """What the service shows who it is with, over TLS; both files are read again when they change."""

    cert: FilePath = Field(description="A PEM file with its certificate, followed by those in between.")
    key: FilePath = Field(description="A PEM file with the private key, which not everybody may read.")


class ServicePart(Part):
    """How `rotate serve` works."""

    look: Span | None = Field(
        None, description="How often it looks at every cluster, beside when something is to do. Default: 15m."
    )
    cron: Annotated[str, *_text(parse_cron)] | None = Field(
        None, description="When it looks, instead of `look`; only retries come in between."
    )
    timezone: Annotated[str, *_text(_zone_name)] | None = Field(
        None, description="The time zone of the cron expression, such as Europe/Vienna. Default: UTC."
    )
    retries: RetriesPart = Field(default_factory=RetriesPart, description="How long it waits after a failure.")
    lease: LeasePart | None = Field(None, description="The Kubernetes Lease that says which of several works.")
    listen: ListenAddress | None = Field(
        None,
        description="Where the status page, /healthz, /readyz and /metrics are: address:port, or none. "
        "Default: 127.0.0.1:9105. An address that others reach needs tls and token.",
    )
    tls: ListenTlsPart | None = Field(None, description="Its certificate, for HTTPS. Default: HTTP.")
    token: Reference | None = Field(
        None,
        description="The token that whoever reads page or metrics shows: 16 characters or more. Default: none.",
    )
    hosts: Annotated[tuple[HostName, ...], Strict(strict=False)] = Field(
        (), description="The names by which browsers reach it, beside localhost and addresses."
    )
    rotate_now: bool = Field(
        default=False, description="Let whoever shows the token have a credential rotated now. Default: false."
    )
    probes: ListenAddress | None = Field(
        None,
        description="A second address, for /healthz, /readyz and /metrics alone: plain HTTP, without a token, whatever "
        "reaches it. For the inside of a pod. Default: none.",
    )


class ChannelPart(Part):
    """One way to somebody: a webhook or a command."""

    url: Url | None = Field(None, description="Where to post it; needs secret.")
    secret: Reference | None = Field(
        None, description="The secret of its signature, whsec_ and base64; see `openssl rand -base64 32`."
    )
    ca: FilePath | None = Field(
        None, description="A PEM file with the certificate authority to trust. Default: as the system trusts."
    )
    run: Argv | None = Field(None, description="Instead: the program to run, by its absolute path, and its arguments.")
    on: Annotated[tuple[OccasionName, ...], Strict(strict=False)] | None = Field(
        None, min_length=1, description="What it is told of. Default: all."
    )
    timeout: Span | None = Field(None, description="How long one try may take. Default: 10s; 30s for run.")


class NotifyPart(Part):
    """Who is told when something changes for the worse or the better."""

    channels: dict[Name, ChannelPart] = Field(default_factory=dict, description="The ways to people, by name.")
    expires_within: Span = Field(
        timedelta(days=7), description="How long before its end a token that is not replaced is told. Default: 7d."
    )


class AuditPart(Part):
    """The audit trail: a line of JSON for each event."""

    file: FilePath = Field(description="The file that lines are appended to; it is made if it is not there.")
    chain: bool = Field(
        default=True, description="Let each line bear the hash of the one before, so that changes show. Default: true."
    )
    secret: Reference | None = Field(
        None, description="A key for these hashes, so that whoever may write the file cannot make them. Default: none."
    )
    sync: bool = Field(default=True, description="Wait for the disk with each line. Default: true.")
    required: bool = Field(
        default=False, description="Begin no rotation that cannot be written to the trail. Default: false."
    )


class Frame(Part):
    """The whole file, but for what its credentials are: those are validated one by one, as there may be many."""

    version: Literal[1] = Field(description="The version of this format: 1.")
    owner: Name = Field(description="The name of this installation; it stands in the comment of every token it issues.")
    defaults: RulesPart = Field(
        default_factory=RulesPart, description="What holds for every credential that does not say otherwise."
    )
    backends: dict[Name, BackendEntry] = Field(default_factory=dict, description="The secrets stores, by name.")
    clusters: dict[Name, ClusterPart] = Field(min_length=1, description="The PVE installations, by name.")
    credentials: Annotated[tuple[Any, ...], Strict(strict=False)] = Field(min_length=1)
    service: ServicePart = Field(default_factory=ServicePart, description="How `rotate serve` works.")
    notify: NotifyPart = Field(default_factory=NotifyPart, description="Who is told when something changes.")
    audit: AuditPart | None = Field(None, description="The audit trail. Default: none.")


class ConfigFile(Frame):
    """The whole file."""

    credentials: Annotated[tuple[CredentialPart, ...], Strict(strict=False)] = Field(
        min_length=1, description="The managed tokens."
    )


class _EditorSchema(GenerateJsonSchema):
    """Without the nulls, which the file does not have."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def editor_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of the file, with a description of every key."""
    body = ConfigFile.model_json_schema(schema_generator=_EditorSchema)
    anchors = {"^x-": {"description": "Anything: a place for anchors."}}
    return {"$schema": SCHEMA_DIALECT, **body, "title": TITLE, "patternProperties": anchors}


def is_anchor_place(key: str) -> bool:
    """Say whether a key at the top is ours to ignore: ``x-...``."""
    return key.startswith("x-")
