"""What the Kubernetes API's answers mean: a status and a ``Status`` object become one of our errors. Pure.

Sources: the API conventions (``Status``, reasons), and the wording of ``k8s.io/apimachinery``, ``k8s.io/apiserver`` and
the admission plug-ins (webhooks, policies, quotas, namespaces that end); compared with what an API server of 1.34 says.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from rotator.errors import (
    ConflictError,
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    RotatorError,
    UnauthenticatedError,
    UnavailableError,
)
from rotator.model import Secret, Version

Json = dict[str, Any]
Verb = Literal["get", "create", "patch"]

PLURALS: Mapping[str, tuple[str, str]] = {
    "Secret": ("", "secrets"),
    "Deployment": ("apps", "deployments"),
    "StatefulSet": ("apps", "statefulsets"),
    "DaemonSet": ("apps", "daemonsets"),
}
"""API group and plural, as a Role names them."""

_INNER = (("metadata",), ("data",), ("spec", "updateStrategy"), ("spec", "template", "metadata", "annotations"))
"""The objects in an object."""
DELETED_HINT = "its finalizers hold it; once they are done it is gone, and the next run can make it anew"
_LONGEST = 600
_SUCCESS, _REDIRECT = 200, 300
_CANNOT = re.compile(r'User "(?P<user>[^"]*)" cannot \w+ resource "')
_UNREACHED = re.compile(r'failed calling webhook "(?P<name>[^"]*)"')
_NO_DRY_RUN = re.compile(r'admission webhook "(?P<name>[^"]*)" does not support dry run')
_REASON = re.compile(r"[A-Za-z]{1,40}", re.ASCII)
_TERMINATING = re.compile(r"because it is being terminated")


class AbsentError(NotFoundError):
    """There is no such object: what a ``get`` may well find."""


class NoDryRunError(RefusedError):
    """An admission webhook with side effects: what it would say is only known when it is done."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked, for messages; never what is sent with it."""

    server: str
    verb: Verb
    kind: str
    namespace: str
    name: str
    is_dry_run: bool = False
    hidden: frozenset[str] = field(default=frozenset(), repr=False)
    """What must not be told, whoever says it: the values that were sent and those that are there."""

    @property
    def subject(self) -> str:
        """Name the object."""
        return f"{self.kind.lower()} {self.namespace}/{self.name}"

    @property
    def is_change(self) -> bool:
        """Say whether something may be different afterwards."""
        return self.verb != "get" and not self.is_dry_run

    def __str__(self) -> str:
        return f"cannot {self.verb} {self.subject} at {self.server}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came. Header names are in lower case."""

    status: int
    content: Secret
    headers: Mapping[str, str] = field(default_factory=dict)


def values_in(data: Mapping[str, str]) -> frozenset[str]:
    """Return the values of a secret's ``data``, as they are sent and as they are."""
    texts = {_plain(value) for value in data.values()}
    return frozenset(value for value in {*data.values(), *texts} if value)


def _plain(value: str) -> str:
    try:
        return base64.b64decode(value).decode("utf-8", "replace")
    except ValueError:
        return ""


def taken(call: Call, answer: Answer) -> Json:
    """Take the object out of an answer. Raises: one of our errors for everything else."""
    if _SUCCESS <= answer.status < _REDIRECT:
        found = _parsed(answer.content)
        if found.get("kind") != "Status" and "metadata" in found and _is_whole(found):
            return found
        raise unanswered(call, "the answer is not one of a Kubernetes API")
    raise _refusal(call, answer)


def _is_whole(found: Json) -> bool:
    """Say whether an object is of the form that the API promises, as far as we look into it."""
    for path in _INNER:
        at: Any = found
        for step in path:
            at = at.get(step) or {}
            if not isinstance(at, dict):
                return False
    return all(isinstance(value, str) for value in (found.get("data") or {}).values())


def version_in(call: Call, found: Json) -> Version:
    """Return an object's version. Raises: the error of a call that was not answered."""
    version = found["metadata"].get("resourceVersion")
    if not isinstance(version, str) or not version:
        raise unanswered(call, "the answer has no resourceVersion")
    return Version(version)


def unanswered(call: Call, what: str) -> RotatorError:
    """Make the error of a call that was sent, and of which nobody knows what became."""
    if call.is_change:
        return OutcomeUnknownError(f"{call.subject} at {call.server} may have been changed or not: {what}")
    return UnavailableError(f"{call}: {what}", hint="nothing was changed")


def _parsed(content: Secret) -> Json:
    try:
        value = json.loads(content.reveal())
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def _details(status: Json) -> Json:
    details = status.get("details")
    return details if isinstance(details, dict) else {}


def _is_about(call: Call, status: Json) -> bool:
    """Say whether this very object is meant; what a proxy says, or a quota, says nothing of it."""
    details = _details(status)
    return (details.get("kind"), details.get("name")) == (PLURALS[call.kind][1], call.name)


def _refusal(call: Call, answer: Answer) -> RotatorError:
    if answer.status < _SUCCESS:  # what comes before an answer
        return unanswered(call, f"the answer is not one of a Kubernetes API (status {answer.status})")
    found = _parsed(answer.content)
    status = found if found.get("kind") == "Status" else {}
    said = _said(call, answer, status)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _failure(call, answer, status, said)
    if answer.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}:
        return _busy(call, answer)
    if not status:
        hint = "is this the address of a Kubernetes API server, with no proxy in between?"
        return RefusedError(f"{call}: the answer is not one of a Kubernetes API (status {answer.status})", hint=hint)
    return _SPECIAL.get(answer.status, _refused)(call, status, said)


def _refused(call: Call, status: Json, said: str) -> RefusedError:
    words = _words(status)
    if _NO_DRY_RUN.search(words):
        return NoDryRunError(f"{call}: {said}", hint="its author must set sideEffects: None or NoneOnDryRun")
    return RefusedError(f"{call}: {said}", hint=_hint(words))


def _said(call: Call, answer: Answer, status: Json) -> str:
    """Return the server's words in one line, or as much as can be shown.

    A webhook may repeat what it was shown: the values that we know. Of a read we do not know them.
    """
    text = _words(status)
    if not text or call.verb == "get":
        reason = str(status.get("reason") or "")
        return f"status {answer.status}" + (f" ({reason})" if _REASON.fullmatch(reason) else "")
    if any(value in text for value in call.hidden):
        return f"status {answer.status}, in words that hold a value of the secret"
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:_LONGEST]


def _words(status: Json) -> str:
    words = status.get("message")
    return " ".join(words.split()) if isinstance(words, str) else ""


def _failure(call: Call, answer: Answer, status: Json, said: str) -> RotatorError:
    if _UNREACHED.search(_words(status)):
        found = _UNREACHED.search(said)
        which = f"admission webhook {found['name']}" if found else "an admission webhook"
        hint = f"{which} must answer before anything is written; nothing was changed"
        return UnavailableError(f"{call}: {said}", hint=hint)
    if status and answer.status == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" in answer.headers:
        return _busy(call, answer)  # the API server itself; a proxy says so of a server that it lost while it worked
    return unanswered(call, said)


def _busy(call: Call, answer: Answer) -> UnavailableError:
    after = answer.headers.get("retry-after", "")
    when = f" in {after} s" if after.isascii() and after.isdigit() else ""
    message = f"{call}: the server has too much to do or is just starting (status {answer.status})"
    return UnavailableError(message, hint=f"nothing was changed; try again{when}")


def _forbidden(call: Call, status: Json, said: str) -> RefusedError:
    if found := _CANNOT.search(_words(status)):
        if found["user"] == "system:anonymous":
            hint = "the kubeconfig gives no login that works: a missing token, or an exec plugin that failed"
            return UnauthenticatedError(f"{call}: nobody has logged in", hint=hint)
        message = f"{call}: {found['user']} may not {call.verb} it"
        return RefusedError(message, hint=f"add to its Role in namespace {call.namespace}: {rule(call)}")
    return _refused(call, status, said)


def rule(call: Call) -> str:
    """Return the rule of a Role that allows a call, as one line of YAML."""
    group, plural = PLURALS[call.kind]
    named = "" if call.verb == "create" else f", resourceNames: [{call.name}]"
    return f'{{apiGroups: ["{group}"], resources: [{plural}]{named}, verbs: [{call.verb}]}}'


def _hint(words: str) -> str:
    if _TERMINATING.search(words):
        return "wait until it is gone and make it again, or name another namespace"
    if "exceeded quota" in words:
        return "raise the ResourceQuota of the namespace, or remove secrets that nobody needs"
    if "denied the request" in words or "denied request" in words:
        return "a policy of the cluster says no; ask who runs it"
    if "Too long" in words:
        return "a secret can hold 1 MiB; what else is in it?"
    return ""


def _missing(call: Call, status: Json, said: str) -> RotatorError:
    if _details(status).get("kind") == "namespaces":
        hint = f"kubectl create namespace {call.namespace}, or correct its name"
        return NotFoundError(f"{call}: namespace {call.namespace} does not exist", hint=hint)
    if not _is_about(call, status):
        return RefusedError(f"{call}: {said}", hint="is this the address of a Kubernetes API server?")
    if call.verb == "get":
        return AbsentError(f"{call.subject} at {call.server} does not exist")
    return ConflictError(f"{call.subject} at {call.server} was removed by somebody else")


def _conflict(call: Call, status: Json, said: str) -> RotatorError:
    if not _is_about(call, status):
        return UnavailableError(f"{call}: {said}", hint="something else that it needs was just changing; try again")
    if "object is being deleted" in _words(status):
        return ConflictError(f"{call.subject} at {call.server} is being deleted", hint=DELETED_HINT)
    how = "made" if call.verb == "create" else "changed"
    return ConflictError(f"{call.subject} at {call.server} was {how} by somebody else")


_SPECIAL: Mapping[int, Callable[[Call, Json, str], RotatorError]] = {
    HTTPStatus.FORBIDDEN: _forbidden,
    HTTPStatus.NOT_FOUND: _missing,
    HTTPStatus.CONFLICT: _conflict,
}


def is_denied(answer: Answer) -> bool:
    """Say whether a SelfSubjectAccessReview came, and says no."""
    status = _parsed(answer.content).get("status")
    return isinstance(status, dict) and status.get("allowed") is False
