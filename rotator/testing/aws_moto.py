"""What moto does otherwise than AWS documents, put right in front of it: one rule for each difference.

The rules look and act through moto's own API, as the caller, so they hold for every account and region. Sources: the
API reference of Secrets Manager (PutSecretValue, UpdateSecretVersionStage, RotateSecret, CreateSecret, DescribeSecret)
and "Lambda rotation functions" in its user guide. Measured against moto 5.2.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
_CHANGES = ("PutSecretValue", "UpdateSecretVersionStage", "RotateSecret", "UpdateSecret")
_LANDING = "a-label-on-the-way"
_NAMES = ("ARN", "Name")


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer of the service: JSON of the operation, or of an error."""

    status: int
    content: Mapping[str, Any]

    @property
    def is_good(self) -> bool:
        """Whether it is no error."""
        return self.status < HTTPStatus.BAD_REQUEST


Ask = Callable[[str, Mapping[str, Any]], Outcome]
"""Calls an operation of moto's as the caller."""


def error(code: str, message: str, status: int = HTTPStatus.BAD_REQUEST) -> Outcome:
    """Make the answer of a failure."""
    return Outcome(status, {"__type": code, "Message": message})


def perform(operation: str, wish: Mapping[str, Any], ask: Ask) -> Outcome:
    """Do what AWS would do."""
    if read := _READS.get(operation):
        return read(wish, ask)
    secret = _described(wish, ask)
    if secret.get("DeletedDate") and operation in (*_CHANGES, "CreateSecret"):
        return _deleted(operation)
    if rule := _RULES.get(operation):
        return rule(wish, secret, ask)
    return ask(operation, wish)


def _described(wish: Mapping[str, Any], ask: Ask) -> Mapping[str, Any]:
    name = wish.get("SecretId") or wish.get("Name")
    found = ask("DescribeSecret", {"SecretId": name}) if name else None
    return found.content if found and found.is_good else {}


def _deleted(operation: str) -> Outcome:
    """Refuse to work on a secret that is scheduled for deletion; moto does for some operations only."""
    if operation == "CreateSecret":
        message = "You can't create this secret because a secret with this name is already scheduled for deletion."
        return error("InvalidRequestException", message)
    message = "You can't perform this operation on the secret because it was marked for deletion."
    return error("InvalidRequestException", message)


def _get(wish: Mapping[str, Any], ask: Ask) -> Outcome:
    """Give the current version unless another is asked for; moto forgets which one that is when labels are moved."""
    asked = {"VersionId", "VersionStage"} & wish.keys()
    return ask("GetSecretValue", wish if asked else {**wish, "VersionStage": CURRENT})


def _describe(wish: Mapping[str, Any], ask: Ask) -> Outcome:
    """List only versions with a label; moto lists all."""
    described = ask("DescribeSecret", wish)
    versions = described.content.get("VersionIdsToStages")
    if versions is None:
        return described
    labelled = {version: labels for version, labels in versions.items() if labels}
    return Outcome(described.status, {**described.content, "VersionIdsToStages": labelled})


def _holder(secret: Mapping[str, Any], label: str) -> str | None:
    versions = secret.get("VersionIdsToStages") or {}
    return next((version for version, labels in versions.items() if label in labels), None)


def _put(wish: Mapping[str, Any], secret: Mapping[str, Any], ask: Ask) -> Outcome:
    """Never change a version that has a value (moto does while it is pending); move AWSCURRENT with what hangs on it.

    moto forgets that AWSCURRENT was moved by UpdateSecretVersionStage, and would leave it on two versions.
    """
    version = wish.get("ClientRequestToken")
    held = ask("GetSecretValue", {"SecretId": wish["SecretId"], "VersionId": version})
    if version and held.is_good:
        return _repeated(wish, held.content)
    current = _holder(secret, CURRENT)
    labels = wish.get("VersionStages") or [CURRENT]
    if CURRENT not in labels or current is None:
        return ask("PutSecretValue", wish)
    landed = ask("PutSecretValue", {**wish, "VersionStages": [*(set(labels) - {CURRENT}), _LANDING]})
    new = landed.content["VersionId"]
    ids = {"SecretId": wish["SecretId"]}
    ask(
        "UpdateSecretVersionStage",
        {**ids, "VersionStage": CURRENT, "MoveToVersionId": new, "RemoveFromVersionId": current},
    )
    ask("UpdateSecretVersionStage", {**ids, "VersionStage": _LANDING, "RemoveFromVersionId": new})
    return Outcome(landed.status, {**landed.content, "VersionStages": labels})


def _repeated(wish: Mapping[str, Any], held: Mapping[str, Any]) -> Outcome:
    if held.get("SecretString") == wish.get("SecretString"):
        return Outcome(HTTPStatus.OK, {key: held[key] for key in (*_NAMES, "VersionId", "VersionStages")})
    message = f"You can't use ClientRequestToken {held['VersionId']} because that value is already in use for a version"
    return error("ResourceExistsException", message)


def _move(wish: Mapping[str, Any], secret: Mapping[str, Any], ask: Ask) -> Outcome:
    """Compare before anything is changed: moto takes a label off first, and lets two versions have it.

    With AWSCURRENT the version loses AWSPENDING in the same call.
    """
    label, new = wish["VersionStage"], wish.get("MoveToVersionId")
    held_by, named = _holder(secret, label), wish.get("RemoveFromVersionId")
    if held_by != named and (named or held_by != new):
        return error("InvalidParameterException", f"Staging label {label} is not attached to the version that is named")
    if new and new not in (secret.get("VersionIdsToStages") or {}):
        return error("ResourceNotFoundException", "Secrets Manager can't find the specified secret version.")
    moved = ask("UpdateSecretVersionStage", wish)
    if moved.is_good and label == CURRENT and new and new == _holder(secret, PENDING):
        ids = {"SecretId": wish["SecretId"], "RemoveFromVersionId": new}
        ask("UpdateSecretVersionStage", {**ids, "VersionStage": PENDING})
    return moved


def _rotate(wish: Mapping[str, Any], secret: Mapping[str, Any], ask: Ask) -> Outcome:
    """Begin a rotation, and leave the steps to the test: moto would run the function in a container.

    moto makes the pending version before it looks for the function, and refuses a new rotation in the wrong case.
    """
    pending, current = _holder(secret, PENDING), _holder(secret, CURRENT)
    if pending and pending != current:
        return error(
            "InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted."
        )
    if pending:
        ids = {"SecretId": wish["SecretId"], "RemoveFromVersionId": pending}
        ask("UpdateSecretVersionStage", {**ids, "VersionStage": PENDING})
    ask("RotateSecret", {"RotationRules": {"AutomaticallyAfterDays": 30}, **wish})
    return Outcome(HTTPStatus.OK, {**{key: secret[key] for key in _NAMES}, "VersionId": wish["ClientRequestToken"]})


_READS: Mapping[str, Callable[[Mapping[str, Any], Ask], Outcome]] = {
    "DescribeSecret": _describe,
    "GetSecretValue": _get,
}
_RULES: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any], Ask], Outcome]] = {
    "PutSecretValue": _put,
    "RotateSecret": _rotate,
    "UpdateSecretVersionStage": _move,
}
