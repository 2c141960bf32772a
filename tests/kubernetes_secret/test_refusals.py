"""What the backend says when the cluster says no: which rule is missing, which quota is full, who denied it."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from rotator.errors import (
    ConflictError,
    NotFoundError,
    RefusedError,
    RotatorError,
    UnauthenticatedError,
    UnavailableError,
)
from rotator.model import Secret, Version
from rotator.testing.backend_contract import pair, shown
from rotator.testing.kubernetes import Answer, AnswerInstead, HangUpBefore, Rule, StatusError, Webhook
from rotator.testing.kubernetes_exchange import Fault
from rotator.testing.kubernetes_store import Review
from rotator_backends.kubernetes_secret import KubernetesBackend, SecretLocation
from tests.kubernetes_secret.lab import NAMESPACE, ROTATOR, Json, SimulatedLab

CI = SecretLocation(NAMESPACE, "ci")


def may_only(lab: SimulatedLab, *verbs: str) -> None:
    """Leave the rotator with these verbs."""
    lab.cluster.bindings.clear()
    lab.cluster.bind(ROTATOR, [Rule(verbs, ("secrets",))], namespace=NAMESPACE)


def written(lab: SimulatedLab, backend: KubernetesBackend) -> Version:
    """Write a first record."""
    assert lab.cluster.url
    return backend.write(CI, pair(1), expected=None)


@pytest.mark.parametrize(
    ("left", "verb", "names"),
    [
        (("create", "patch"), "get", ", resourceNames: [ci]"),
        (("get", "create"), "patch", ", resourceNames: [ci]"),
        (("get", "patch"), "create", ""),
    ],
)
def test_a_missing_verb_is_named_with_the_rule_that_is_to_be_added(
    lab: SimulatedLab, backend: KubernetesBackend, left: tuple[str, ...], verb: str, names: str
) -> None:
    """The hint can be pasted into the Role; ``create`` cannot be limited to a name."""
    if verb != "create":
        lab.cluster.add_secret(NAMESPACE, "ci", {"a": b"1"})
    may_only(lab, *left)
    with pytest.raises(RefusedError) as caught:
        backend.preflight(CI)
    where = lab.cluster.url.removeprefix("https://")
    assert caught.value.message == f"cannot {verb} secret pve/ci at {where}: {ROTATOR} may not {verb} it"
    rule = f'{{apiGroups: [""], resources: [secrets]{names}, verbs: [{verb}]}}'
    assert caught.value.hint == f"add to its Role in namespace pve: {rule}"


def test_the_preflight_of_a_secret_that_is_not_there_asks_for_what_comes_after(
    lab: SimulatedLab, backend: KubernetesBackend
) -> None:
    """Who may create but not patch could publish once and never again."""
    may_only(lab, "get", "create")
    with pytest.raises(RefusedError, match="we may not patch it") as caught:
        backend.preflight(CI)
    assert "resourceNames: [ci], verbs: [patch]" in caught.value.hint


@pytest.mark.parametrize(
    "fault", [HangUpBefore(), AnswerInstead(Answer.text(500, "")), AnswerInstead(Answer.of({"status": "?"}))]
)
def test_a_review_that_does_not_come_does_not_stop_the_preflight(
    lab: SimulatedLab, backend: KubernetesBackend, fault: Fault
) -> None:
    """The dry run has been allowed; what comes after is only asked as a courtesy."""
    lab.cluster.intercept = lambda request: fault if request.plural == "selfsubjectaccessreviews" else None
    backend.preflight(CI)
    assert lab.cluster.calls[-1].request.plural == "selfsubjectaccessreviews"


def test_a_refused_write_is_told_like_a_refused_preflight(lab: SimulatedLab, backend: KubernetesBackend) -> None:
    """The Role may have changed in between."""
    version = written(lab, backend)
    may_only(lab, "get")
    with pytest.raises(RefusedError, match="may not patch it"):
        backend.write(CI, pair(2), expected=version)
    assert lab.cluster.data(NAMESPACE, "ci")["token_secret"] == pair(1)["token_secret"].reveal().encode()


def test_a_namespace_that_is_not_there_is_named(lab: SimulatedLab) -> None:
    """A get finds nothing there, which is no reason to say anything; a create does."""
    lab.cluster.bind(ROTATOR, [Rule(("*",), ("*",))])
    backend = lab.backend()
    nowhere = SecretLocation("nowhere", "ci")
    assert backend.read(nowhere) is None
    for attempt in (lambda: backend.preflight(nowhere), lambda: backend.write(nowhere, pair(1), expected=None)):
        with pytest.raises(NotFoundError, match="namespace nowhere does not exist") as caught:
            attempt()
        assert caught.value.hint == "kubectl create namespace nowhere, or correct its name"
    backend.close()


def test_a_namespace_that_goes_away_is_named(lab: SimulatedLab, backend: KubernetesBackend) -> None:
    """Nothing new is made in it."""
    lab.cluster.add_namespace(NAMESPACE, phase="Terminating")
    with pytest.raises(RefusedError, match="namespace pve because it is being terminated") as caught:
        backend.preflight(CI)
    assert caught.value.hint == "wait until it is gone and make it again, or name another namespace"


def test_a_full_quota_is_named(lab: SimulatedLab, backend: KubernetesBackend) -> None:
    """It is about new secrets only: what is there can still be written."""
    version = written(lab, backend)
    lab.cluster.store.quotas[NAMESPACE] = ("few", {"secrets": 1})
    with pytest.raises(RefusedError, match="exceeded quota: few, requested: secrets=1, used: secrets=1") as caught:
        backend.preflight(SecretLocation(NAMESPACE, "other"))
    assert caught.value.hint == "raise the ResourceQuota of the namespace, or remove secrets that nobody needs"
    backend.write(CI, pair(2), expected=version)


@pytest.mark.parametrize("code", [400, 403, 422])
def test_an_admission_webhook_that_denies_is_quoted(lab: SimulatedLab, backend: KubernetesBackend, code: int) -> None:
    """Already by the preflight: the dry run asks it."""
    lab.cluster.webhooks.append(Webhook("policy.example.com", lambda _: "no owner label", code=code))
    with pytest.raises(RefusedError) as caught:
        backend.preflight(CI)
    assert 'admission webhook "policy.example.com" denied the request: no owner label' in caught.value.message
    assert caught.value.hint == "a policy of the cluster says no; ask who runs it"


def test_an_admission_webhook_that_does_not_answer_is_unavailable(
    lab: SimulatedLab, backend: KubernetesBackend
) -> None:
    """It is asked before anything is written, so nothing happened, although the status is a 500."""
    version = written(lab, backend)
    lab.cluster.webhooks.append(Webhook("policy.example.com", lambda _: None, is_reachable=False))
    with pytest.raises(UnavailableError) as caught:
        backend.write(CI, pair(2), expected=version)
    assert caught.value.hint.startswith("admission webhook policy.example.com must answer before anything is written")
    lab.cluster.webhooks.clear()
    backend.write(CI, pair(2), expected=version)


def test_a_webhook_without_dry_run_does_not_stop_the_preflight(lab: SimulatedLab, backend: KubernetesBackend) -> None:
    """What it would say is known only when it is done; the permission is asked for all the same."""
    lab.cluster.webhooks.append(Webhook("effects.example.com", lambda _: None, supports_dry_run=False))
    backend.preflight(CI)
    backend.write(CI, pair(1), expected=None)
    backend.preflight(CI)


@pytest.mark.parametrize("other", ["no", "webhook"])
def test_what_the_server_says_is_understood_though_it_is_not_told(
    lab: SimulatedLab, backend: KubernetesBackend, other: str
) -> None:
    """A value of others in the secret may be a word of the sentence, which is then not quoted, but understood."""
    lab.cluster.add_secret(NAMESPACE, "ci", {"other": other.encode()})
    lab.cluster.webhooks.append(Webhook("unknown.example.com", lambda _: None, supports_dry_run=False))
    backend.preflight(CI)
    lab.cluster.webhooks[:] = [Webhook("unknown.example.com", lambda _: None, is_reachable=False)]
    found = backend.read(CI)
    assert found is not None
    with pytest.raises(UnavailableError, match="in words that hold a value") as caught:
        backend.write(CI, pair(2), expected=found.version)
    assert caught.value.hint == "an admission webhook must answer before anything is written; nothing was changed"


def test_without_dry_run_a_missing_verb_is_found_all_the_same(lab: SimulatedLab, backend: KubernetesBackend) -> None:
    """RBAC comes before admission, and what it says of a real write is asked by a review."""
    lab.cluster.webhooks.append(Webhook("effects.example.com", lambda _: None, supports_dry_run=False))
    denied = StatusError(400, "BadRequest", 'admission webhook "effects.example.com" does not support dry run')
    lab.cluster.intercept = lambda request: (
        AnswerInstead(Answer.refusing(denied)) if request.is_dry_run and request.verb == "create" else None
    )
    may_only(lab, "get", "patch")
    with pytest.raises(RefusedError, match="we may not create it"):
        backend.preflight(CI)


def decoded(found: Json) -> list[bytes]:
    """Return the values of a secret as they are."""
    return [base64.b64decode(value) for value in found["data"].values()]


CHATTY: dict[str, Callable[[Review], str | None]] = {
    "new": lambda review: f"it would be {review.new}",
    "old": lambda review: f"it is {review.old}" if review.old else None,
    "decoded": lambda review: f"it is {decoded(review.old)}" if review.old else None,
}
"""Policies that repeat what they were shown."""


@pytest.mark.parametrize("kind", CHATTY)
def test_a_webhook_that_repeats_what_it_was_shown_is_not_quoted(
    lab: SimulatedLab, backend: KubernetesBackend, canaries: tuple[str, ...], kind: str
) -> None:
    """Neither the new values nor those that are there, neither as they are nor in base64."""
    first = backend.write(CI, {"token_secret": Secret(canaries[0])}, expected=None)
    lab.cluster.webhooks.append(Webhook("chatty.example.com", CHATTY[kind]))
    attempts: list[Callable[[], object]] = [
        lambda: backend.write(CI, {"token_secret": Secret(canaries[1])}, expected=first),
        lambda: backend.preflight(CI),
    ]
    if kind == "new":
        place = SecretLocation(NAMESPACE, "x")
        attempts.append(lambda: backend.write(place, {"k": Secret(canaries[1])}, expected=None))
    for attempt in attempts:
        with pytest.raises(RefusedError, match="status 403, in words that hold a value of the secret") as caught:
            attempt()
        assert not any(canary in shown(caught.value) for canary in canaries)


def test_a_server_that_repeats_our_token_is_not_quoted(lab: SimulatedLab, backend: KubernetesBackend) -> None:
    """Whatever stands in between may say what it was shown."""
    token = next(iter(lab.cluster.logins))
    error = StatusError(400, "BadRequest", f"strange header: Bearer {token}")
    lab.cluster.intercept = lambda _: AnswerInstead(Answer.refusing(error))
    with pytest.raises(RefusedError) as caught:
        backend.write(CI, pair(1), expected=None)
    assert token not in shown(caught.value)


def test_a_read_that_is_refused_is_not_quoted(lab: SimulatedLab, backend: KubernetesBackend, canary: str) -> None:
    """We do not know what is stored, so we cannot tell whether the words hold it; the reason can be told."""
    for status in (400, 404, 409, 500):
        error = StatusError(status, "Strange", f"cannot decrypt {canary}")
        lab.cluster.intercept = lambda _, error=error: AnswerInstead(Answer.refusing(error))
        with pytest.raises(RotatorError, match=rf"status {status} \(Strange\)") as caught:
            backend.read(CI)
        assert canary not in shown(caught.value)


def test_a_conflict_about_something_else_is_no_conflict(lab: SimulatedLab, backend: KubernetesBackend) -> None:
    """The API server counts quotas by compare-and-set, too; losing that race means to try again."""
    message = 'Operation cannot be fulfilled on resourcequotas "few": the object has been modified'
    details = {"name": "few", "kind": "resourcequotas"}
    error = StatusError(409, "Conflict", message, details=details)
    lab.cluster.intercept = lambda _: AnswerInstead(Answer.refusing(error))
    with pytest.raises(UnavailableError, match="resourcequotas") as caught:
        backend.write(CI, pair(1), expected=None)
    assert not isinstance(caught.value, ConflictError)


def test_somebody_else_between_our_look_and_our_patch_is_a_conflict(
    lab: SimulatedLab, backend: KubernetesBackend
) -> None:
    """The server compares, not we."""
    version = written(lab, backend)

    def meddle(request: object) -> None:
        if getattr(request, "verb", "") == "patch":
            lab.cluster.intercept = None
            lab.edit("ci", {"metadata": {"annotations": {"remark": "seen"}}})

    lab.cluster.intercept = meddle
    with pytest.raises(ConflictError, match="was changed by somebody else"):
        backend.write(CI, pair(2), expected=version)


def test_somebody_who_removes_it_between_our_look_and_our_patch_is_a_conflict(
    lab: SimulatedLab, backend: KubernetesBackend
) -> None:
    """The record is gone; the core observes again."""
    version = written(lab, backend)

    def meddle(request: object) -> None:
        if getattr(request, "verb", "") == "patch":
            lab.cluster.intercept = None
            lab.delete("ci")

    lab.cluster.intercept = meddle
    with pytest.raises(ConflictError, match="was removed by somebody else"):
        backend.write(CI, pair(2), expected=version)


def test_a_writer_in_the_middle_of_a_preflight_does_not_fail_it(lab: SimulatedLab, backend: KubernetesBackend) -> None:
    """It could still be written; whether by us is for the write to find out."""

    def meddle(request: object) -> None:
        if getattr(request, "verb", "") == "create":
            lab.cluster.intercept = None
            lab.cluster.add_secret(NAMESPACE, "ci", {})

    lab.cluster.intercept = meddle
    backend.preflight(CI)


@pytest.mark.parametrize(
    "answer",
    [
        Answer.text(404, "404 page not found\n"),
        Answer.text(403, "<html>no</html>"),
        Answer.of({"error": "no"}, 404),
        Answer.text(302, "", Location="https://127.0.0.1:1/elsewhere"),
    ],
    ids=["page", "proxy", "json", "redirect"],
)
def test_what_is_no_kubernetes_is_not_taken_for_an_absent_secret(
    lab: SimulatedLab, backend: KubernetesBackend, answer: Answer
) -> None:
    """An absent record leads to a first issue; a wrong address must not."""
    lab.cluster.intercept = lambda _: AnswerInstead(answer)
    with pytest.raises(RefusedError, match=rf"not one of a Kubernetes API \(status {answer.status}\)") as caught:
        backend.read(CI)
    assert caught.value.hint == "is this the address of a Kubernetes API server, with no proxy in between?"
    assert len(lab.cluster.calls) == 1


def test_a_status_about_another_path_is_not_an_absent_secret(lab: SimulatedLab, backend: KubernetesBackend) -> None:
    """An aggregated API, or a server that knows no secrets at all, says 404 as well."""
    error = StatusError(404, "NotFound", "the server could not find the requested resource")
    lab.cluster.intercept = lambda _: AnswerInstead(Answer.refusing(error))
    with pytest.raises(RefusedError, match=r"status 404 \(NotFound\)"):
        backend.read(CI)


def test_nobody_who_has_not_logged_in_is_told_to_change_a_role(lab: SimulatedLab) -> None:
    """A kubeconfig without a login, or with an exec plugin that fails, makes us anonymous; a Role would not help."""
    text = lab.kubeconfig.read_text().replace('"token"', '"no-token"')
    lab.kubeconfig.write_text(text)
    backend = lab.backend()
    with pytest.raises(UnauthenticatedError, match="nobody has logged in") as caught:
        backend.read(CI)
    assert (
        caught.value.hint == "the kubeconfig gives no login that works: a missing token, or an exec plugin that failed"
    )
    backend.close()
