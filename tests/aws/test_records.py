"""The text of a secret: what is read from it, what a write changes in it, and what it must not touch."""

from __future__ import annotations

import json

import pytest

from rotator.errors import RefusedError
from rotator.model import Secret
from rotator.testing.backend_contract import shown
from rotator_backends.aws_records import changed, fields_in
from tests.aws.lab import Lab, token

PLACE = "aws:eu-west-1/ci"
ODD = (
    '{ "port" : 8006.10,\t"big": 123456789012345678901234567890, "huge": 1e999, "on": true, "none": null,\n'
    ' "list": [1, {"a": "}"}], "text": "caf\\u00e9 \\"x\\"" , "token_id": "old" }'
)


def read(text: str) -> dict[str, str]:
    """Read the fields of a text."""
    return {key: value.reveal() for key, value in fields_in(text, PLACE).items()}


def test_texts_numbers_and_truth_values_are_fields() -> None:
    """Numbers are read as they are written; structures and null are no fields."""
    numbers = {"port": "8006.10", "big": "123456789012345678901234567890", "huge": "1e999"}
    assert read(ODD) == {**numbers, "on": "true", "text": 'café "x"', "token_id": "old"}


def test_what_is_not_ours_keeps_its_text() -> None:
    """A number is not rounded and a structure not rebuilt; keys keep their order and new ones come last."""
    text = changed(ODD, {"token_id": Secret("new"), "token_secret": Secret("s")}, PLACE)
    assert text == (
        '{"port": 8006.10, "big": 123456789012345678901234567890, "huge": 1e999, "on": true, "none": null, '
        '"list": [1, {"a": "}"}], "text": "caf\\u00e9 \\"x\\"", "token_id": "new", "token_secret": "s"}'
    )


def test_an_empty_object_and_no_text_take_fields() -> None:
    """The first record of a secret."""
    for text in ("", "{}", " {\n} "):
        assert json.loads(changed(text, {"a": Secret("1")}, PLACE)) == {"a": "1"}


def test_a_key_that_stands_there_twice_is_written_once() -> None:
    """What readers see, the last, is what is replaced."""
    assert changed('{"a": 1, "a": 2}', {"a": Secret("x")}, PLACE) == '{"a": "x"}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("just-a-password", "it is not JSON: line 1, column 1"),
        ('{"a": 1,\n}', "it is not JSON: line 2, column 1"),
        ('["a"]', "it is no object of JSON"),
        ('"text"', "it is no object of JSON"),
        ("[" * 100_000, "it is nested too deeply"),
    ],
)
def test_what_is_no_object_is_refused_and_not_shown(text: str, why: str) -> None:
    """Reading and writing say where, never what."""
    for attempt in (lambda: fields_in(text, PLACE), lambda: changed(text, {"a": Secret("1")}, PLACE)):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.message == f"{PLACE} is left as it is: {why}"
        assert "just-a-password" not in shown(caught.value)


def test_a_structure_under_a_key_of_ours_is_refused() -> None:
    """Replacing it would throw away what somebody else has put there."""
    with pytest.raises(RefusedError, match="is left as it is: its 'list' is not a text"):
        changed(ODD, {"list": Secret("x")}, PLACE)


def test_half_a_character_is_refused() -> None:
    """It would come back as something else, or not at all."""
    with pytest.raises(RefusedError, match="half a character"):
        changed("{}", {"a": Secret("\ud83d")}, PLACE)


def test_half_a_character_of_somebody_else_is_kept() -> None:
    """As an escape, the way it stands there."""
    assert changed('{"a": "\\ud83d"}', {"b": Secret("1")}, PLACE) == '{"a": "\\ud83d", "b": "1"}'


def test_what_is_too_large_is_refused_before_it_is_sent() -> None:
    """Secrets Manager counts bytes."""
    changed("", {"a": Secret("x" * (65_536 - 9))}, PLACE)
    with pytest.raises(RefusedError, match="would have 65537 bytes, and Secrets Manager takes 65536"):
        changed("", {"a": Secret("x" * (65_536 - 8))}, PLACE)


def test_foreign_keys_survive_a_write(lab: Lab) -> None:
    """Also those that are no texts."""
    backend = lab.backend()
    place = lab.place(backend)
    version = lab.client().create_secret(Name=place.name, SecretString=ODD)["VersionId"]
    backend.write(place, token(1, "one-secret"), expected=version)
    text = lab.client().get_secret_value(SecretId=place.name)["SecretString"]
    assert text == changed(ODD, token(1, "one-secret"), PLACE)


def test_a_binary_secret_is_refused(lab: Lab) -> None:
    """It is somebody else's."""
    backend = lab.backend()
    place = lab.place(backend)
    version = lab.client().create_secret(Name=place.name, SecretBinary=b"\0\1")["VersionId"]
    for attempt in (
        lambda: backend.read(place),
        lambda: backend.preflight(place),
        lambda: backend.write(place, token(1, "one-secret"), expected=version),
    ):
        with pytest.raises(RefusedError, match="is left as it is: it is binary"):
            attempt()
