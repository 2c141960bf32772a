"""Shapes: which keys a record has, and the token that is read back out of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from rotator.errors import RefusedError
from rotator.model import Secret, Stored, Token, TokenId, UnusableRecordError, Version
from rotator.shape import CANONICAL, Shape
from rotator.template import Template

TOKEN = Token(TokenId("ci@pve", "ci-1-abcde"), Secret("0b2c"))
OTHER = Token(TokenId("ci@pve", "ci-2-fghij"), Secret("9d4e"))
SITE = {"host": "pve1.lan", "port": "8006", "api_url": "https://pve1.lan:8006/api2/json", "insecure": "false"}


def shape(fields: dict[str, str], *, canonical: bool = False, site: dict[str, str] = SITE) -> Shape:
    """Make a shape of texts."""
    parsed = tuple((key, Template.parse(text)) for key, text in fields.items())
    return Shape(parsed, tuple(site.items()), canonical)


def stored(fields: dict[str, str]) -> Stored:
    """Make what a backend holds."""
    return Stored({key: Secret(value) for key, value in fields.items()}, Version("v1"))


def shown(made: Shape, token: Token = TOKEN, expire: datetime | None = None) -> dict[str, str]:
    """Render in plain text."""
    return {key: value.reveal() for key, value in made.render(token, expire).items()}


FULL_AND_SECRET = shape({"id": "{token_id}", "secret": "{secret}", "url": "{api_url}"})
ONE = shape({"TOKEN": "{token}"})
APART = shape({"u": "{user}", "r": "{realm}", "n": "{token_name}", "s": "{secret}"})
BARE = shape({"u": "{userid}", "n": "{token_name}", "s": "{secret}"})
HEADER = shape({"h": "Authorization: {auth_header}", "until": "{expires_at}"})
FILE = shape({"config.yaml": 'url: "{api_url}"\nid: "{token_id}"\nsecret: "{secret}"\nuntil: "{expires_at}"\n'})
SECRET_ONLY = shape({"s": "{secret}"}, canonical=True)
BOTH = shape({"TOKEN": "{token}"}, canonical=True)
SHAPES = [CANONICAL, FULL_AND_SECRET, ONE, APART, BARE, HEADER, FILE, SECRET_ONLY, BOTH]


@pytest.mark.parametrize("made", SHAPES)
@pytest.mark.parametrize("expire", [None, datetime(2026, 3, 1, 12, tzinfo=UTC)])
def test_a_token_is_read_back_out_of_every_shape(made: Shape, expire: datetime | None) -> None:
    """Beside keys that are not ours."""
    record = stored({**shown(made, expire=expire), "note": "by hand"})
    assert made.read(record) == TOKEN
    assert made.shows(record, TOKEN)
    assert not made.shows(record, OTHER)


def test_the_keys_are_those_that_are_written() -> None:
    """In the order of the configuration, the canonical ones at the end."""
    assert CANONICAL.keys == ("token_id", "token_secret")
    assert BOTH.keys == ("TOKEN", "token_id", "token_secret")
    assert ONE.keys == ("TOKEN",)
    assert all(set(made.keys) == set(shown(made)) for made in SHAPES)


@pytest.mark.parametrize(
    ("fields", "is_invertible"),
    [
        ({"a": "{token}"}, True),
        ({"a": "{token_id}", "b": "{secret}"}, True),
        ({"a": "{userid}", "b": "{name_secret}"}, True),
        ({"a": "{user}", "b": "{realm}", "c": "{name_secret}"}, True),
        ({"a": "{auth_header}"}, True),
        ({"a": "{secret}"}, False),
        ({"a": "{token_id}"}, False),
        ({"a": "{name_secret}"}, False),
        ({"a": "{user}", "b": "{name_secret}"}, False),
        ({"a": "{token_id}{secret}"}, False),
        ({"a": "{token_id}", "b": "{secret}x"}, False),
        ({"a": "{api_url}"}, False),
        ({}, False),
    ],
)
def test_it_is_known_what_can_be_read_back(fields: dict[str, str], is_invertible: bool) -> None:  # noqa: FBT001 - what is expected
    """Before anything is written: user, name and secret must all be told."""
    assert shape(fields).is_invertible is is_invertible


def test_the_end_of_a_token_is_in_utc_and_whole_seconds() -> None:
    """As PVE keeps it; empty where PVE enforces none."""
    end = datetime(2026, 3, 1, 12, 0, 0, 999999, tzinfo=timezone(timedelta(hours=2)))
    assert shown(HEADER, expire=end)["until"] == "2026-03-01T10:00:00Z"
    assert shown(HEADER)["until"] == ""


@pytest.mark.parametrize("made", [HEADER, FILE])
def test_another_end_does_not_make_a_record_incomplete(made: Shape) -> None:
    """It may be changed at PVE, and is no reason to write."""
    assert made.shows(stored(shown(made, expire=datetime(2027, 1, 1, tzinfo=UTC))), TOKEN)


def test_an_end_that_cannot_be_found_again_does_not_make_a_record_incomplete() -> None:
    """Else it would be written anew for ever."""
    made = shape({"TOKEN": "{token}", "x": "{secret}{expires_at}"})
    assert made.shows(stored(shown(made, expire=datetime(2027, 1, 1, tzinfo=UTC))), TOKEN)


@pytest.mark.parametrize("made", SHAPES)
def test_without_our_keys_there_is_no_token(made: Shape) -> None:
    """Nothing there, and only foreign keys there, are the same to us."""
    assert made.read(None) is None
    assert made.read(stored({"note": "by hand"})) is None


@pytest.mark.parametrize(
    "fields",
    [{"u": "ci@pve"}, {"u": "ci@pve", "n": "ci", "s": ""}, {"u": "root@pam", "password": "x"}, {"s": " \n"}],
)
def test_without_a_secret_there_is_no_token(fields: dict[str, str]) -> None:
    """A file may have been prepared with a user, and an empty place for the secret."""
    assert BARE.read(stored(fields)) is None


@pytest.mark.parametrize(
    ("made", "fields", "message"),
    [
        (BARE, {"s": "canary"}, "it has a secret and does not say of which token"),
        (BARE, {"u": "ci@pve", "s": "canary"}, "it has a secret and does not say of which token"),
        (BARE, {"u": "canary", "n": "ci", "s": "canary"}, "what it shows is not of the form user@realm!name"),
        (BARE, {"u": "a b canary", "n": "ci", "s": "canary"}, "its u is not what the configuration would write there"),
        (ONE, {"TOKEN": "canary"}, "its TOKEN is not what the configuration would write there"),
        (FILE, {"config.yaml": "canary: 1\n"}, "its config.yaml is not what the configuration would write there"),
        (CANONICAL, {"token_id": "ci@pve!ci"}, "it has only one of token_id and token_secret"),
    ],
)
def test_what_is_no_token_is_not_taken_for_nothing(made: Shape, fields: dict[str, str], message: str) -> None:
    """It must not be overwritten, and its values are not shown."""
    with pytest.raises(UnusableRecordError) as caught:
        made.read(stored(fields))
    assert str(caught.value) == message


def test_keys_that_contradict_each_other_are_no_token() -> None:
    """One of the two is what the consumer reads; nobody can tell which."""
    made = shape({"a": "{token}", "b": "{token_id}"})
    record = {**shown(made), "b": str(OTHER.id)}
    with pytest.raises(UnusableRecordError, match="its b and another key do not show the same token"):
        made.read(stored(record))


def test_a_key_that_is_new_in_the_configuration_does_not_hide_the_token() -> None:
    """The others tell it; the record is only incomplete."""
    made = shape({"a": "{token}", "b": "{token_id}"})
    record = stored({"a": shown(made)["a"]})
    assert made.read(record) == TOKEN
    assert not made.shows(record, TOKEN)


@pytest.mark.parametrize("made", [ONE, BARE, FILE, SECRET_ONLY, BOTH])
def test_a_canonical_record_is_read_under_a_new_shape(made: Shape) -> None:
    """The configuration was changed, or the token is to be adopted: it is that token, shown incompletely."""
    record = stored(shown(CANONICAL))
    assert made.read(record) == TOKEN
    assert not made.shows(record, TOKEN)


def test_a_shaped_record_is_read_when_the_canonical_keys_are_wanted_too() -> None:
    """The way back."""
    record = stored(shown(ONE))
    assert BOTH.read(record) == TOKEN
    assert not BOTH.shows(record, TOKEN)


def test_the_fields_go_before_canonical_keys_that_were_left_behind() -> None:
    """They are what the consumer reads, and what is kept up."""
    assert ONE.read(stored({**shown(CANONICAL, OTHER), **shown(ONE)})) == TOKEN


def test_a_field_may_be_called_like_a_canonical_key() -> None:
    """Ansible's inventory wants the bare name as token_id."""
    made = shape({"user": "{userid}", "token_id": "{token_name}", "token_secret": "{secret}"})
    assert made.read(stored(shown(made))) == TOKEN
    assert made.read(stored({"token_id": "ci-1-abcde"})) is None


def test_an_endpoint_that_has_changed_makes_a_record_incomplete_and_not_unreadable() -> None:
    """The token still works; the consumer wants the new address."""
    record = stored(shown(FILE))
    moved = shape(
        {key: template.text for key, template in FILE.fields},
        site={**SITE, "api_url": "https://pve2.lan:8006/api2/json"},
    )
    assert moved.read(record) == TOKEN
    assert not moved.shows(record, TOKEN)


@pytest.mark.parametrize("made", [ONE, FILE, SECRET_ONLY, BOTH])
def test_a_key_that_was_changed_makes_a_record_incomplete(made: Shape) -> None:
    """Each of them is read by somebody."""
    for key in made.keys:
        fields: dict[str, Any] = shown(made)
        fields[key] += "x"
        assert not made.shows(stored(fields), TOKEN)
        del fields[key]
        assert not made.shows(stored(fields), TOKEN)


def test_a_token_that_does_not_fit_is_refused_without_its_secret() -> None:
    """An adopted token may have a secret that PVE would not have drawn."""
    with pytest.raises(RefusedError) as caught:
        FILE.render(Token(TOKEN.id, Secret('canary"')), None)
    assert "its secret has characters that need quotes there" in caught.value.message
    assert "canary" not in f"{caught.value.message}{caught.value.hint}"


def test_a_token_that_does_not_fit_is_shown_incompletely_and_not_refused_when_it_is_read() -> None:
    """It is there, in the canonical keys, and may be replaced."""
    odd = Token(TOKEN.id, Secret('0b2c"'))
    record = stored({**shown(CANONICAL, odd), "config.yaml": shown(FILE)["config.yaml"]})
    made = shape({"config.yaml": 'secret: "{secret}"\n'}, canonical=True)
    assert made.read(record) == odd
    assert not made.shows(record, odd)


def test_values_that_are_rendered_do_not_show_themselves() -> None:
    """They are on their way into a backend, maybe by an error message."""
    assert "0b2c" not in repr(FILE.render(TOKEN, None))
    assert "0b2c" not in repr(ONE.render(TOKEN, None))


def test_a_shape_can_be_compared_and_hashed() -> None:
    """Destinations are compared, for one."""
    assert shape({"a": "{token}"}) == shape({"a": "{token}"}) != shape({"a": "{secret}"})
    assert len({ONE, shape({"TOKEN": "{token}"}), BOTH}) == 2
