"""The rotation function of AWS Secrets Manager: ``rotator.aws_lambda.handler``. From AWS's event to a step taken.

What AWS asks of such a function is in its user guide, "Lambda rotation functions": four steps, each harmless when it is
repeated, and an exception where one fails, upon which AWS tries the whole rotation again. Its settings are told in
``backends/aws.md``.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, cast

from rotator import registry
from rotator.act import Ports
from rotator.audit.lines import hidden
from rotator.aws_lambda_settings import FunctionSettings, credential, function_settings
from rotator.aws_rotation import CURRENT, LAST, PENDING, STEPS, Described, Rotation, StagedSecret
from rotator.backend import Backend
from rotator.clock import Clock, SystemClock
from rotator.errors import NotFoundError, RefusedError, RotatorError
from rotator.events import Event, Listener
from rotator.model import Destination, Secret
from rotator.proxmox import ProxmoxCluster, TlsTrust
from rotator.rotate import draw_name
from rotator.secrecy import known
from rotator.trigger import By, TriggeredBy
from rotator.wiring import read_operator

LOG = logging.getLogger(__name__)
LOG.setLevel(logging.INFO)  # Lambda's own handler would leave the steps out
BACKEND = "aws"


class RotationError(ValueError):
    """A step that failed; AWS tries again. Says what failed and what to do, and holds no secret."""


class StagingBackend(Backend, Protocol):
    """The backend ``aws``, whose secrets can be written in steps."""

    def staged(self, location: Any) -> StagedSecret:  # noqa: ANN401 - a location is its backend's
        """Return a secret with its versions."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """What AWS asks for."""

    step: str
    arn: str
    version: str
    rotation_token: Secret | None = None


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Do one step of a rotation; AWS calls this. Raises: ``RotationError``."""
    perform(event)


def perform(
    event: Mapping[str, Any],
    *,
    environ: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
    draw: Callable[[], str] = draw_name,
) -> None:
    """Do one step with that environment and clock.

    Repeat: each step twice does what it does once.
    Crash: what a step leaves behind is finished or deleted by a repeat of the rotation, or by the next one.
    Raises: ``RotationError``.
    """
    call, ours = read(event), clock or SystemClock()
    try:
        settings = function_settings(environ, call.arn)
        known.spare(settings.words)
        with closing(configured(call.arn, environ)) as backend, closing(cluster(settings, backend, ours)) as pve:
            advance(call, settings, environ, Ports(pve, {BACKEND: backend}, ours, teller(call.step), draw))
    except RotatorError as error:
        hint = f"; hint: {error.hint}" if error.hint else ""
        raise RotationError(f"{call.step} of {call.arn}: {error}{hint}") from None


def read(event: Mapping[str, Any]) -> Call:
    """Read AWS's event. Raises: ``RotationError`` when it is none."""
    texts = [event.get(key) for key in ("Step", "SecretId", "ClientRequestToken")]
    if not all(isinstance(text, str) and text for text in texts):
        raise RotationError("not an event of Secrets Manager's rotation: it has Step, SecretId and ClientRequestToken")
    step, arn, version = map(str, texts)
    if step not in STEPS:
        raise RotationError(f"not a step of a rotation: {step}; there is {', '.join(STEPS)}")
    token = event.get("RotationToken")
    return Call(step, arn, version, Secret(str(token)) if token else None)


def configured(arn: str, environ: Mapping[str, str]) -> StagingBackend:
    """Make a backend in the secret's region, contacting nobody. Raises: ``ConfigError``."""
    region = arn.split(":")[3] if arn.startswith("arn:") else environ.get("AWS_REGION")
    return cast("StagingBackend", registry.find(BACKEND).configure({"region": region} if region else {}))


def cluster(settings: FunctionSettings, backend: StagingBackend, clock: Clock) -> ProxmoxCluster:
    """Make the cluster, whose operator is read anew whenever it is needed. Raises: ``ConfigError``."""
    operator = Destination(BACKEND, *backend.locate({"secret_id": settings.operator}))
    return ProxmoxCluster(
        settings.cluster,
        settings.endpoints,
        login=lambda: read_operator(settings.cluster, operator, {BACKEND: backend}),
        trust=TlsTrust(settings.ca_file, settings.fingerprint),
        monotonic=clock.monotonic,
    )


def advance(call: Call, settings: FunctionSettings, environ: Mapping[str, str], ports: Ports) -> None:
    """Take the step, or what is left of it when the version is current already."""
    backend = cast("StagingBackend", ports.backends[BACKEND])
    location, label = backend.locate({"secret_id": call.arn})
    secret = backend.staged(location)
    seen = secret.describe()
    if seen is None:
        raise NotFoundError("there is no such secret")
    is_over = is_current(call, seen)
    wanted = credential(settings, environ, secret.stored(), Destination(BACKEND, location, label), seen.name)
    rotation = Rotation(secret, wanted, ports, call.version, call.rotation_token)
    if not is_over:
        STEPS[call.step](rotation)
    elif call.step == LAST:
        rotation.finish_up()


def is_current(call: Call, seen: Described) -> bool:
    """Say whether the rotation is over but for tidying up; refuse what AWS has not begun, or given up."""
    if not seen.rotates:
        raise RefusedError("rotation is not switched on", hint="aws secretsmanager rotate-secret switches it on")
    if not any(CURRENT in labels for labels in seen.stages.values()):  # AWS makes the first value current by itself
        raise RefusedError(
            "the secret has no value yet, and its first one would be current before it is tested",
            hint=f"aws secretsmanager put-secret-value --secret-id {call.arn} --secret-string '{{}}'",
        )
    labels = seen.stages.get(call.version)
    if labels is None:
        raise RefusedError(f"version {call.version} has no label: it belongs to no rotation that is under way")
    if CURRENT not in labels and PENDING not in labels:
        raise RefusedError(f"version {call.version} is not {PENDING}: its rotation is not under way any more")
    return CURRENT in labels


def teller(step: str) -> Listener:
    """Make what writes what happens to the function's log, a line of JSON each; ``step`` is AWS's.

    What is known to be secret is hidden in what others may have had a hand in, as in the audit trail.
    """
    trigger = TriggeredBy(By.LAMBDA, step)

    def tell(event: Event) -> None:
        message, hint = (hidden(text, event) for text in (event.message, event.hint))
        whole = replace(event, trigger=trigger, message=message, hint=hint)
        LOG.info(json.dumps({it.name: str(value) for it in fields(whole) if (value := getattr(whole, it.name))}))

    return tell
