"""The values: secrets that hide, ids that are read strictly, records that make sense."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from rotator.model import Secret, Stored, Token, TokenId, UnusableRecordError, Version, fields_of, token_of


def test_a_secret_does_not_show_itself(canary: str) -> None:
    """Not in repr, str, formatting, or as part of another value."""
    secret = Secret(canary)
    token = Token(TokenId("ci@pve", "ci"), secret)

    for text in (repr(secret), str(secret), f"{secret}", f"{secret:>40}", "%s" % secret, repr(token), repr([token])):  # noqa: UP031 - one of the ways
        assert canary not in text
        assert "Secret" in text


def test_a_secret_is_not_pickled_or_written_as_json(canary: str) -> None:
    """Neither way may carry it to another process."""
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(canary))
    with pytest.raises(TypeError):
        json.dumps({"secret": Secret(canary)})


def test_a_secret_is_equal_to_the_same_secret() -> None:
    """Also its copies; and not to its text."""
    assert copy.deepcopy(Secret("x")) == copy.copy(Secret("x")) == Secret("x")
    assert len({Secret("x"), Secret("x"), Secret("y")}) == 2
    assert Secret("x") != "x"


@pytest.mark.parametrize("text", ["ci@pve!ci", "svc@corp@ldap-1!a.b_c-1", "root@pam!T0"])
def test_a_token_id_is_written_as_it_was_read(text: str) -> None:
    """PVE's ids, with dots, dashes and more than one at-sign."""
    assert str(TokenId.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ci",
        "ci@pve",
        "ci!x",
        "@pve!ci",
        "ci@pve!",
        "ci@pve!1a",
        "ci@pve!a b",
        "ci@pve!a",
        "c i@pve!ci",
        "c\ud800@pve!ci",
        "ci@\udfff@pve!ci",
    ],
)
def test_what_is_no_token_id_is_refused_without_repeating_it(text: str) -> None:
    """The text may be anything, also a secret in the wrong field."""
    with pytest.raises(ValueError, match=r"^not a token id of the form user@realm!name$"):
        TokenId.parse(text)


def stored(**fields: str) -> Stored:
    """Make what a backend holds."""
    return Stored({key: Secret(value) for key, value in fields.items()}, Version("v1"))


def test_a_record_is_read_back_as_it_was_written() -> None:
    """Foreign keys beside ours do not matter."""
    token = Token(TokenId("ci@pve", "ci"), Secret("s"))

    assert token_of(Stored({**fields_of(token), "note": Secret("x")}, Version("v1"))) == token


def test_without_our_keys_there_is_no_record() -> None:
    """Nothing there, and only foreign keys there, are the same to us."""
    assert token_of(None) is None
    assert token_of(stored(note="x")) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"token_id": "ci@pve!ci"},
        {"token_secret": "canary"},
        {"token_id": "ci@pve!ci", "token_secret": ""},
        {"token_id": "canary", "token_secret": "s"},
    ],
)
def test_half_a_record_is_no_record_and_not_empty_either(fields: dict[str, str]) -> None:
    """It must not be overwritten as if there were nothing, and its values are not shown."""
    with pytest.raises(UnusableRecordError) as caught:
        token_of(stored(**fields))
    assert "canary" not in str(caught.value)
