"""Whatever stands in a store, a name, a comment or a file: what was written is read back, or what is wrong is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotator.errors import ConfigError, RotatorError
from rotator.marker import Marker, Name, foreign_text
from rotator.model import Secret, Stored, Token, TokenId, UnusableRecordError, Version, fields_of, token_of
from rotator.references import LONGEST, EnvReference, FileReference, resolve
from rotator_backends.file import FileBackend
from rotator_backends.file_formats import ContentError, Format, codec, decoded, encoded

KINDS = {
    Format.JSON: ["{", "}", '"', ":", ",", "[", "]", "null", "1e9", "\\u", "\\", '"token_id"'],
    Format.YAML: ["a:", "- ", "{", "}", "&a", "*a", "<<:", "!!", "|", ">", "'", '"', "---", "#", "token_id:", "  "],
    Format.ENV: ["export ", "token_id", "=", "'", '"', "#", "\\", "$", " "],
    Format.TOKEN: ["ci@pve!x", "=", "!", "@"],
    Format.TEXT: ["x"],
}
SECRET = "5ec7e700-c0ff-4ee0-8000-000000000000"
NAMES = st.text() | st.from_regex(r"[a-z-]{0,5}-[0-9]{1,40}-[a-z0-9]{4,6}", fullmatch=True)


def texts(kind: Format) -> st.SearchStrategy[str]:
    """Draw texts that are nearly of a format."""
    return st.lists(st.sampled_from([*KINDS[kind], "\n", "\r\n", "\t"]) | st.text(max_size=3), max_size=12).map("".join)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_any_content_of_a_record_has_fields_or_is_refused(kind: Format, data: st.DataObject) -> None:
    """Nothing else comes of reading it, and what is refused is not repeated."""
    content = data.draw(st.binary(max_size=40) | texts(kind).map(lambda it: it.encode("utf-8", "surrogatepass")))
    try:
        fields = codec(kind, "x").fields(decoded(content))
    except ContentError as error:
        assert str(error)  # noqa: PT017 - either is right
        return
    assert all(isinstance(it, str) for pair in fields.items() for it in pair)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_secret_in_a_broken_record_is_not_repeated(kind: Format, data: st.DataObject) -> None:
    """Whatever breaks around it: the message says where, not what."""
    around = texts(kind)
    text = f"{data.draw(around)}{SECRET}{data.draw(around)}"
    try:
        encoded(kind, text, {"token_id": "ci@pve!ci-1-aaaaa", "token_secret": SECRET}, "x")
    except ContentError as error:
        assert SECRET not in str(error)  # noqa: PT017 - either is right


@given(fields=st.dictionaries(st.sampled_from(["token_id", "token_secret", "other"]), st.text()))
@example(fields={"token_id": "ci@pve!ci", "token_secret": ""})
def test_any_fields_are_a_token_none_or_unusable(fields: dict[str, str]) -> None:
    """What is a token is written in the same way."""
    stored = Stored({key: Secret(value) for key, value in fields.items()}, Version("1"))
    try:
        token = token_of(stored)
    except UnusableRecordError as error:
        assert all(value not in str(error) for value in fields.values() if len(value) > 12)  # noqa: PT017 - either
        return
    assert token is None or fields_of(token).items() <= stored.fields.items()


@given(text=st.text() | st.builds("{}@{}!{}".format, st.text(max_size=4), st.text(max_size=4), st.text(max_size=4)))
def test_any_text_is_a_token_id_or_none(text: str) -> None:
    """One that is read is spelled as it was."""
    try:
        token = TokenId.parse(text)
    except ValueError:
        return
    assert str(token) == text
    assert token_of(Stored(fields_of(Token(token, Secret("s"))), Version("1")))


@given(text=NAMES)
@example(text=f"ci-{'9' * 5000}-aaaaa")
def test_any_text_is_a_name_of_ours_or_none(text: str) -> None:
    """One that is read is spelled as it was, so that no two names are the same token."""
    name = Name.parse(text)
    assert name is None or (str(name) == text and name.serial > 0)


@given(text=st.text(), marked=st.from_regex(r"rotate: owner=\S credential=\S rotation=\S issued=\S{20}( \S+)?"))
@example(text="", marked="rotate: owner=a credential=b rotation=c issued=٢٠٢٦-03-01T12:00:00Z")
@example(text="", marked="rotate: owner=a credential=b rotation=c issued=2026-02-31T12:00:00Z")
def test_any_comment_is_marked_or_not(text: str, marked: str) -> None:
    """A marker that is read says the same when it is written again, after the same text."""
    for comment in (text, marked, f"{text} {marked}"):
        marker = Marker.parse(comment)
        if marker:
            assert Marker.parse(marker.comment(foreign_text(comment))) == marker


@given(content=st.binary(max_size=60) | st.sampled_from([b"", b"\n", b"x\r\n", b"x" * (LONGEST + 2)]))
def test_any_file_holds_a_secret_or_is_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Without its content in the message."""
    path = tmp_path_factory.getbasetemp() / "secret"
    path.touch(mode=0o600)
    path.write_bytes(content)
    try:
        secret = resolve(FileReference(path), environ={}, backends={})
    except ConfigError as error:
        assert "holds no secret" in error.message  # noqa: PT017 - either is right
        return
    assert content.decode().startswith(secret.reveal())
    assert 0 < len(secret.reveal()) <= LONGEST


@given(value=st.text(), path=st.text(min_size=1, max_size=8))
@example(value="", path="\0")
@example(value="x", path="\ud800")
def test_any_reference_is_resolved_or_told_as_missing(value: str, path: str) -> None:
    """An environment variable may hold anything but nothing; a path may be anything at all."""
    try:
        assert resolve(EnvReference("X"), environ={"X": value}, backends={}) == Secret(value)
    except ConfigError:
        assert value == ""
    with pytest.raises(ConfigError, match="the secret's file"):
        resolve(FileReference(Path("/nowhere") / path), environ={}, backends={})


@given(path=st.text(max_size=8) | st.sampled_from(["\0", "\ud800", "x" * 300, "a/" * 3000]))
def test_any_path_of_a_record_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    """By the configuration, or later in the same words as any other file that is not there."""
    store = FileBackend.configure({})
    try:
        location, _ = store.locate({"path": f"{tmp_path_factory.getbasetemp()}/x/{path}"})
        stored = store.read(location)
    except RotatorError as error:
        assert error.message  # noqa: PT017 - either is right
    else:
        assert stored is None
