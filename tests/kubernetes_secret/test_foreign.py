"""Every exception that the libraries below can raise has its translation, before sending and after it."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path

import kubernetes.client.exceptions
import pydantic
import pytest
import urllib3.exceptions

from rotator.errors import OutcomeUnknownError, RefusedError, RotatorError, UnavailableError
from rotator.model import Secret
from rotator.testing.backend_contract import shown
from rotator_backends.kubernetes_answer import PLURALS, Answer, Call, Verb, taken
from rotator_backends.kubernetes_client import FOREIGN, Access, Cluster, Surroundings
from rotator_backends.kubernetes_settings import Auth

NOWHERE = Surroundings({}, Path("/nonexistent"), Path("/nonexistent"))
CLUSTER = Cluster(Access(Auth.KUBECONFIG, NOWHERE), timedelta(seconds=1))
READ = Call("here:6443", "get", "Secret", "pve", "ci")
CHANGES = [Call("here:6443", verb, "Secret", "pve", "ci") for verb in ("create", "patch")]
DRY_RUN = Call("here:6443", "patch", "Secret", "pve", "ci", is_dry_run=True)


def family(root: type[BaseException]) -> Iterator[type[BaseException]]:
    """Yield a class and all that is derived from it."""
    yield root
    for child in root.__subclasses__():
        yield from family(child)


def of(*modules: object) -> set[type[Exception]]:
    """List the exceptions that modules define or pass on."""
    names = ((module, name) for module in modules for name in dir(module) if not name.startswith("_"))
    found = (getattr(module, name) for module, name in names)
    return {one for one in found if isinstance(one, type) and issubclass(one, Exception)} - {Exception}


def made(kind: type[BaseException]) -> BaseException:
    """Make an exception of any kind, without its constructor."""
    if kind is pydantic.ValidationError:
        return pydantic.ValidationError.from_exception_data("call", [])
    return kind.__new__(kind)


DEFINED = of(kubernetes.client.exceptions, urllib3.exceptions, http.client, ssl, socket) | {pydantic.ValidationError}
RAISED = {one for one in DEFINED if not issubclass(one, Warning)}
BELOW = {
    kind
    for root in (*RAISED, ConnectionError, TimeoutError, UnicodeError)
    for kind in family(root)
    if not kind.__module__.startswith(("rotator", "tests"))
}
NAMES = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in BELOW}


def test_what_the_libraries_define_is_what_we_catch() -> None:
    """A new kind of error beside these families fails here."""
    assert {kind for kind in RAISED if not issubclass(kind, FOREIGN)} == set()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_has_a_translation(name: str) -> None:
    """A change is unknown then, a read or a dry run has failed; the words of the exception are not repeated."""
    error = made(NAMES[name])
    for call in CHANGES:
        assert type(CLUSTER.broken(error, call)) is OutcomeUnknownError
    for call in (READ, DRY_RUN):
        assert type(CLUSTER.broken(error, call)) is UnavailableError


BODIES = ("", "{}", "[]", '{"kind":"Status","message":"no","reason":"No"}', '{"kind":"Status"}')


@pytest.mark.parametrize("body", BODIES)
def test_every_status_has_a_translation(body: str) -> None:
    """A read or a dry run never has an unknown outcome; a change has none only when the server said so."""
    for status, call in product([*range(300, 600), 600, 999], (READ, DRY_RUN, *CHANGES)):
        with pytest.raises(RotatorError) as caught:
            taken(call, Answer(status, Secret(body)))
        is_unknown = type(caught.value) is OutcomeUnknownError
        assert is_unknown == (call.is_change and status >= 500)


@pytest.mark.parametrize("kind", PLURALS)
@pytest.mark.parametrize("verb", ["get", "create", "patch"])
def test_every_refusal_of_rbac_names_a_rule(kind: str, verb: Verb) -> None:
    """For all that is ever asked, of all kinds."""
    body = (
        f'{{"kind": "Status", "message": "x is forbidden: User \\"u\\" cannot {verb} resource \\"r\\" in API group"}}'
    )
    with pytest.raises(RefusedError) as caught:
        taken(Call("here", verb, kind, "pve", "web"), Answer(403, Secret(body)))
    group, plural = PLURALS[kind]
    names = "" if verb == "create" else ", resourceNames: [web]"
    assert f'{{apiGroups: ["{group}"], resources: [{plural}]{names}, verbs: [{verb}]}}' in caught.value.hint


def test_an_unreadable_body_leaves_no_trace_of_itself() -> None:
    """A parser's exception holds the text that it parsed, and the record is in it."""
    with pytest.raises(UnavailableError) as caught:
        taken(READ, Answer(200, Secret('{"kind": "Secret", "data": {"token_secret": "hush')))
    assert "hush" not in shown(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
