"""A secret does not stand in the configuration, and where somebody put one it is not repeated."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from rotator.config import InvalidConfigError, RecordOperator, TicketOperator, TokenOperator
from rotator.config_values import parse_variable
from rotator.faults import InvalidValueError
from rotator.model import TokenId
from rotator.references import BackendReference, EnvReference, FileReference
from tests.unit.config_world import config, problems, read


def token(secret: str) -> str:
    """Write a configuration whose operator is a token with this for its secret."""
    return config(cluster={"operator": f"{{token_id: rotator@pve!op, token_secret: {secret}}}"})


MISTAKES: list[Callable[[str], str]] = [
    token,
    lambda secret: token(f"'{secret}'"),
    lambda secret: token(f"[{secret}]"),
    lambda secret: token(f"{{{secret}}}"),
    lambda secret: token(f"{{{secret}: 1, {secret}: 2}}"),
    lambda secret: token(f"{{env: X, {secret}: 1}}"),
    lambda secret: token(f"{{env: {secret}}}"),
    lambda secret: token(f"{{env: ${{{secret}}}}}"),
    lambda secret: token(f"{{file: {secret}}}"),
    lambda secret: token(f"{{backend: {secret}, path: x}}"),
    lambda secret: token(f"*{secret}"),
    lambda secret: token(f"!{secret}"),
    lambda secret: token(f"&{secret}"),
    lambda secret: token(f"!!{secret} x"),
    lambda secret: token(f"%{secret}"),
    lambda secret: token(f"@{secret}"),
    lambda secret: token(f"`{secret}`"),
    lambda secret: token(f'"\\{secret}"'),
    lambda secret: token(f'"{secret}'),
    lambda secret: token(f"{secret}: {secret}: {secret}"),
    lambda secret: config(cluster={"operator": f"{{token_id: rotator@pve!op={secret}, token_secret: {{env: X}}}}"}),
    lambda secret: config(cluster={"operator": f"{{token_id: rotator@pve!op, secret: {secret}}}"}),
    lambda secret: config(cluster={"operator": f"{{user: a@pve, password: {secret}, totp: {secret}}}"}),
    lambda secret: config(cluster={"operator": f"{{user: a@pve, password: {{env: X}}, totp: {{{secret}: }}}}"}),
    lambda secret: config(cluster={"operator": secret}),
    lambda secret: config(cluster={"endpoints": f"['root:{secret}@pve1.lan']"}),
    lambda secret: config(cluster={"endpoints": f"['https://root:{secret}@pve1.lan/']"}),
    lambda secret: config(cluster={"tls": secret}),
    lambda secret: config(credential={"user": f"{secret} x"}),
    lambda secret: config(credential={"every": secret}),
    lambda secret: config(credential={"grants": f"[{{path: '{secret}', role: '{secret} '}}]"}),
    lambda secret: config(credential={"strategy": secret}),
    lambda secret: config(credential={"token_secret": secret}),
    lambda secret: config(top={"version": secret}),
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_secret_put_in_the_file_is_not_repeated(tmp_path: Path, canary: str, mistake: Callable[[str], str]) -> None:
    """Not in the message, the problems, the hint, nor in a traceback with all its causes."""
    with pytest.raises(InvalidConfigError) as caught:
        read(tmp_path, mistake(canary))
    error = caught.value
    told = [str(error), repr(error), repr(error.problems), error.hint, *traceback.format_exception(error)]
    assert not any(canary in text or canary.rpartition("-")[2] in text for text in told)


def test_a_file_that_is_not_text_is_not_repeated(tmp_path: Path, canary: str) -> None:
    """An error of decoding carries the whole content."""
    with pytest.raises(InvalidConfigError) as caught:
        read(tmp_path, f"password: {canary}\xff".encode("latin-1"))
    assert canary not in "".join(traceback.format_exception(caught.value))


def test_a_literal_secret_is_refused_with_what_to_write(tmp_path: Path, canary: str) -> None:
    """It was written down, so it should be changed too."""
    (problem,) = problems(tmp_path, token(canary))
    assert problem.where == "clusters.home.operator.token_secret"
    assert problem.message == "a secret does not stand in the configuration itself"
    assert "{env: NAME}" in problem.advice
    assert "change the secret" in problem.advice


@pytest.mark.parametrize("number", ["123456", "1.5"])
def test_a_literal_number_is_a_literal_secret(tmp_path: Path, number: str) -> None:
    """A password of digits is one too."""
    (problem,) = problems(tmp_path, token(number))
    assert problem.message == "a secret does not stand in the configuration itself"


def test_an_unset_variable_is_told(tmp_path: Path) -> None:
    """Also an empty one; both before anything is contacted."""
    text = config(cluster={"operator": "{user: a@pve, password: {env: UNSET}, totp: {env: EMPTY}}"})
    assert [(problem.where, problem.message) for problem in problems(tmp_path, text, {"EMPTY": ""})] == [
        ("clusters.home.operator.password", "the environment variable UNSET is not set"),
        ("clusters.home.operator.totp", "the environment variable EMPTY is empty"),
    ]


def test_a_file_that_everybody_may_read_is_told(tmp_path: Path, canary: str) -> None:
    """With the command that mends it."""
    secret = tmp_path / "secret"
    secret.write_text(canary)
    secret.chmod(0o644)
    (problem,) = problems(tmp_path, token(f"{{file: {secret}}}"))
    assert problem.where == "clusters.home.operator.token_secret"
    assert "everybody may read" in problem.message
    assert problem.advice == f"chmod o-rwx {secret}"


def test_a_missing_file_and_an_unknown_backend_are_told_at_once(tmp_path: Path) -> None:
    """References that cannot be resolved do not hide each other."""
    text = config(cluster={"operator": "{user: a@pve, password: {file: /nowhere}, totp: {backend: b, path: x}}"})
    assert [problem.message for problem in problems(tmp_path, text)] == [
        "the secret's file /nowhere cannot be read: No such file or directory",
        "no such backend",
    ]


def test_references_are_kept_unresolved(tmp_path: Path, canary: str) -> None:
    """What is loaded says where the secrets are, not what they are."""
    secret = tmp_path / "secret"
    secret.write_text(canary)
    secret.chmod(0o600)
    given = f"{{user: a@pve, password: {{file: {secret}}}, totp: {{backend: file, path: ticket, key: seed}}}}"
    operator = read(tmp_path, config(cluster={"operator": given})).clusters["home"].operator
    assert operator == TicketOperator(
        "a@pve", FileReference(secret), BackendReference("file", "ticket", "shelf:ticket", "seed")
    )
    assert canary not in repr(operator)


def test_the_three_kinds_of_operator_are_told_apart(tmp_path: Path) -> None:
    """By their keys; one that has no key of the others is a record."""
    environ = {"A": "x", **os.environ}
    ticket = read(tmp_path, config(cluster={"operator": "{user: a@pve, password: {env: A}}"}), environ)
    assert ticket.clusters["home"].operator == TicketOperator("a@pve", EnvReference("A"))
    bearer = read(tmp_path, token("{env: A}"), environ)
    assert bearer.clusters["home"].operator == TokenOperator(TokenId("rotator@pve", "op"), EnvReference("A"))
    record = read(tmp_path, config()).clusters["home"].operator
    assert isinstance(record, RecordOperator)
    assert record.destination.label == "shelf:op"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("$SECRET", "write it without $ and braces"),
        ("${SECRET}", "write it without $ and braces"),
        ("SECRET_SITE-B", "write it with letters, digits and _ alone, no digit first"),
        ("1SECRET", "write it with letters, digits and _ alone, no digit first"),
    ],
)
def test_a_variable_that_has_no_such_name_is_refused_with_what_is_wrong(text: str, advice: str) -> None:
    """What stands there is not repeated: it may be the secret itself."""
    with pytest.raises(InvalidValueError) as caught:
        parse_variable(text)
    assert (caught.value.message, caught.value.advice) == ("not the name of an environment variable", advice)
