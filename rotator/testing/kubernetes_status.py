"""Refusals of the simulated Kubernetes API: ``Status`` objects, worded and numbered as ``k8s.io/apimachinery`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object: ``secrets`` of the core group, ``deployments`` of ``apps``."""

    group: str
    version: str
    plural: str
    kind: str
    is_namespaced: bool = True

    @property
    def qualified(self) -> str:
        """Return the name as messages have it, ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """Return the group and version as objects have it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def details(self, name: str = "", **more: object) -> Json:
        """Describe an object of this kind in a ``Status``."""
        return {
            **({"name": name} if name else {}),
            **({"group": self.group} if self.group else {}),
            "kind": self.plural,
            **more,
        }


class StatusError(Exception):
    """What the API server says instead of doing it."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.headers = dict(headers or {})
        self.body: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            **({"reason": reason} if reason else {}),
            **({} if details is None else {"details": details}),
            "code": code,
        }


def unauthorized() -> StatusError:
    """Refuse a caller whom nobody knows."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def not_found(resource: Resource, name: str) -> StatusError:
    """Say that it is not there."""
    message = f'{resource.qualified} "{name}" not found'
    return StatusError(404, "NotFound", message, details=resource.details(name))


def no_such_path() -> StatusError:
    """Say that there is no such kind of object."""
    message = "the server could not find the requested resource"
    return StatusError(404, "NotFound", message, details={})


def not_allowed() -> StatusError:
    """Say that this method does not go with this path."""
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message, details={})


def already_exists(resource: Resource, name: str, *, is_being_deleted: bool) -> StatusError:
    """Say that the name is taken."""
    prefix = "object is being deleted: " if is_being_deleted else ""
    message = f'{prefix}{resource.qualified} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, details=resource.details(name))


def conflict(resource: Resource, name: str) -> StatusError:
    """Say that the resourceVersion is another one by now."""
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {MODIFIED}'
    return StatusError(409, "Conflict", message, details=resource.details(name))


def forbidden(resource: Resource, name: str, why: str, *, causes: Sequence[Json] = ()) -> StatusError:
    """Say that it is not permitted, by RBAC or by an admission plug-in."""
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    details = resource.details(name, **({"causes": list(causes)} if causes else {}))
    return StatusError(403, "Forbidden", f"{subject} is forbidden: {why}", details=details)


def bad_request(message: str) -> StatusError:
    """Say that the request makes no sense."""
    return StatusError(400, "BadRequest", message)


def unsupported_media(media: str, known: Sequence[str]) -> StatusError:
    """Say that a patch comes in a format that nobody knows."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(known)}"
    return StatusError(415, "UnsupportedMediaType", message, details={"kind": media} if media else None)


def invalid(resource: Resource, name: str, field: str, kind: str, message: str) -> StatusError:
    """Say that an object breaks a rule of its kind; ``kind`` is the cause: ``FieldValueForbidden``."""
    details = {
        **({"name": name} if name else {}),
        **({"group": resource.group} if resource.group else {}),
        "kind": resource.kind,
        "causes": [{"reason": kind, "message": message, "field": field}],
    }
    subject = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    text = f'{subject} "{name}" is invalid: {field}: {message}'
    return StatusError(422, "Invalid", text, details=details)


def unversioned(resource: Resource, name: str) -> StatusError:
    """Say that what is put in the place of an object has to name the resourceVersion of that."""
    field, message = "metadata.resourceVersion", "Invalid value: 0: must be specified for an update"
    causes = [{"reason": "FieldValueInvalid", "message": message, "field": field}]
    text = f'{resource.qualified} "{name}" is invalid: {field}: {message}'
    return StatusError(422, "Invalid", text, details=resource.details(name, causes=causes))


def internal(message: str) -> StatusError:
    """Say that something broke inside."""
    details = {"causes": [{"message": message}]}
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", details=details)


def too_many_requests(seconds: int = 1) -> StatusError:
    """Ask to come back later; nothing was done."""
    message = "Too many requests, please try again later."
    headers = {"Retry-After": str(seconds)}
    return StatusError(429, "TooManyRequests", message, details={"retryAfterSeconds": seconds}, headers=headers)


def unavailable(*, seconds: int | None = None) -> StatusError:
    """Say that the server cannot do anything now; with ``seconds`` as one that has not begun to."""
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    message = "the server is currently unable to handle the request"
    return StatusError(503, "ServiceUnavailable", message, headers=headers)


def timed_out() -> StatusError:
    """Say that nobody knows what became of it."""
    return StatusError(504, "Timeout", "Timeout: request did not complete within requested timeout")
