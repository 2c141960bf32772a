"""Whatever the token and the template: what was written is read back, or nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from rotator.errors import RefusedError
from rotator.faults import InvalidValueError
from rotator.model import TOKEN_NAME, USERID, Secret, Stored, Token, TokenId, UnusableRecordError, Version
from rotator.presets import PRESETS
from rotator.shape import Shape
from rotator.template import VARIABLES, Template

SITE = (
    ("cluster", "home"),
    ("host", "pve1.lan"),
    ("port", "8006"),
    ("endpoint_url", "https://pve1.lan:8006"),
    ("api_url", "https://pve1.lan:8006/api2/json"),
    ("verify_ssl", "true"),
    ("insecure", "false"),
)
plain = st.builds(
    Token,
    st.builds(
        TokenId,
        st.from_regex(r"[a-z0-9._-]{1,12}@(?:pve|pam|ldap\.x)", fullmatch=True),
        st.from_regex(r"[A-Za-z][a-z0-9-]{0,8}-[0-9]{1,3}-[a-z0-9]{5}", fullmatch=True),
    ),
    st.builds(Secret, st.uuids().map(str)),
)
"""Tokens as PVE makes them for users with plain names."""
any_token = st.builds(
    Token,
    st.builds(TokenId, st.from_regex(USERID, fullmatch=True), st.from_regex(TOKEN_NAME, fullmatch=True)),
    st.builds(Secret, st.text(min_size=1)),
)
ends = st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
pieces = st.sampled_from([f"{{{name}}}" for name in VARIABLES]) | st.text('":=@!/ \n-_.,ax0', max_size=4)
texts = st.lists(pieces, max_size=6).map("".join)
COMBINATIONS = (
    ("{token}",),
    ("{auth_header}", "{expires_at}"),
    ("{token_id}", "{secret}"),
    ("{userid}", "{name_secret}", "{api_url}"),
    ("{user}", "{realm}", "{token_name}", "{secret}"),
    ("{endpoint_url} {token}\n{expires_at}",),
)
edges = st.sampled_from(["", '"', "\n", "x: ", "a", "=", "-", " "])


def shape_of(fields: Mapping[str, str]) -> Shape:
    """Make a shape of texts, without the canonical keys."""
    return Shape(tuple((key, Template.parse(text)) for key, text in fields.items()), SITE, is_canonical=False)


combined = st.builds(
    lambda names, before, after: shape_of(
        {key: f"{before}{it}{after}" for key, it in zip("abcd", names, strict=False)}
    ),
    st.sampled_from(COMBINATIONS),
    edges,
    edges,
)
shapes = combined | st.dictionaries(st.sampled_from("abcd"), texts, min_size=1).map(shape_of)


def record(shape: Shape, token: Token, expire: datetime | None) -> Stored:
    """Write a record."""
    return Stored(shape.render(token, expire), Version("1"))


@given(shape=shapes, token=plain, expire=ends)
def test_what_is_said_to_be_invertible_is_inverted(shape: Shape, token: Token, expire: datetime | None) -> None:
    """For every token that PVE makes, out of any combination of templates."""
    stored = record(shape, token, expire)
    assert shape.shows(stored, token)
    assert shape.read(stored) == (token if shape.is_invertible else None)


@given(shape=shapes, token=any_token, expire=ends)
def test_an_odd_token_is_refused_or_read_back(shape: Shape, token: Token, expire: datetime | None) -> None:
    """A secret with quotes, a user with a backslash: never another token than was written."""
    try:
        stored = record(shape, token, expire)
    except RefusedError:
        return
    if shape.is_invertible and token.secret.reveal().strip():
        assert shape.read(stored) == token
    assert shape.shows(stored, token)


@given(name=st.sampled_from(sorted(PRESETS)), token=plain, expire=ends)
def test_every_preset_is_read_back_without_the_canonical_keys(name: str, token: Token, expire: datetime | None) -> None:
    """So none of them leaves keys in a consumer's file that it does not know."""
    shape = shape_of(PRESETS[name].fields)
    assert shape.is_invertible
    assert shape.read(record(shape, token, expire)) == token


@given(shape=shapes, values=st.lists(st.text(), min_size=4, max_size=4))
def test_whatever_stands_there_is_a_token_or_not(shape: Shape, values: list[str]) -> None:
    """Nothing else comes out of reading than a token, none, or that it is unusable."""
    stored = Stored({key: Secret(value) for key, value in zip("abcd", values, strict=True)}, Version("1"))
    try:
        token = shape.read(stored)
    except UnusableRecordError:
        return
    assert token is None or isinstance(token, Token)


@given(text=st.text())
def test_any_text_is_a_template_or_is_refused_with_advice(text: str) -> None:
    """Nothing else comes out of parsing."""
    try:
        template = Template.parse(text)
    except InvalidValueError as error:
        assert error.message  # noqa: PT017 - either is right
    else:
        assert template.text == text
