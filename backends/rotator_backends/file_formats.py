"""The formats of a record in a file: text in, fields out, and back with some of them changed. No I/O.

Whatever is not changed stays as it was written, byte for byte. So JSON is not loaded
and dumped again, which would rewrite numbers, escapes and indentation: json finds where each value stands, and only
that is replaced. python-dotenv was not taken for env files: it quotes in a way that no shell reads. shlex would
quote the ``!`` of every token id, and ``docker run --env-file`` takes quotes for a part of the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rotator.model import TokenId

TOKEN_ID = "token_id"  # noqa: S105 - the name of a field
TOKEN_SECRET = "token_secret"  # noqa: S105 - the name of a field
_BYTE_ORDER_MARK = "\ufeff"
_HALF = re.compile("[\ud800-\udfff]")


class Format(StrEnum):
    """How a record is written in its file."""

    JSON = "json"
    ENV = "env"
    YAML = "yaml"
    TOKEN = "token"  # noqa: S105 - the name of a format
    TEXT = "text"


class ContentError(Exception):
    """A text is not of its format, or a value has no place in it; says where, never what stands there."""


class Codec(Protocol):
    """One format."""

    def fields(self, text: str) -> dict[str, str]:
        """Return the keys of the top level whose values are texts, numbers or truth values.

        Raises: ``ContentError``.
        """
        ...

    def changed(self, text: str, changes: Mapping[str, str]) -> str:
        """Return the text with these fields, everything else as it is.

        Raises: ``ContentError``.
        """
        ...


def codec(kind: Format, key: str = "") -> Codec:
    """Find what reads and writes a format; PyYAML is imported only for the one that needs it.

    ``key`` is what the one value of a text is called.
    """
    if kind is Format.TEXT:
        return TextCodec(key)
    if kind is Format.YAML:
        from rotator_backends.file_yaml import YamlCodec  # noqa: PLC0415 - for those who have YAML records

        return YamlCodec()
    return _CODECS[kind]


def decoded(data: bytes) -> str:
    """Read bytes as UTF-8.

    Raises: ``ContentError``.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = _BYTE_ORDER_MARK
    if text.startswith(_BYTE_ORDER_MARK):
        raise ContentError("it is not UTF-8, or begins with a byte order mark")
    return text


def encoded(kind: Format, text: str, changes: Mapping[str, str], key: str = "") -> bytes:
    """Change some fields of a text, and prove that they and all others are read back.

    Raises: ``ContentError``.
    """
    for name, value in changes.items():
        if _HALF.search(name + value):
            raise ContentError(f"the key or value of {name!a} is no text: it has half a character (a lone surrogate)")
    form = codec(kind, key)
    new = form.changed(text, changes)
    data = new.encode()
    if not _holds(form, data, {**form.fields(text), **changes}):
        raise ContentError(f"it cannot take these fields and keep its others; write it in plainer {kind}")
    return data


def _holds(form: Codec, data: bytes, fields: Mapping[str, str]) -> bool:
    try:
        return form.fields(decoded(data)) == fields
    except ContentError:
        return False


@dataclass(frozen=True, slots=True)
class _Member:
    key: str
    start: int
    end: int
    """Where the value stands."""
    is_nested: bool


class JsonCodec:
    """A JSON object; numbers are read as they are written."""

    def __init__(self) -> None:
        self._decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)

    def fields(self, text: str) -> dict[str, str]:
        """Return the fields; an empty file has none, and null is none."""
        return {key: _plain(value) for key, value in self._object(text).items() if _is_plain(value)}

    def changed(self, text: str, changes: Mapping[str, str]) -> str:
        """Replace the values where they stand, and put what is new at the end, indented like the first."""
        if not text.strip():
            return json.dumps(dict(changes), indent=2, ensure_ascii=False) + "\n"
        self._object(text)
        members = list(self._members(text))
        for member in members:
            if member.key in changes and member.is_nested:
                raise _nested(member.key)
        missing = {key: value for key, value in changes.items() if key not in {member.key for member in members}}
        new = _with_members(text, members, missing)
        for member in reversed(members):
            if member.key in changes:
                new = new[: member.start] + _quoted(changes[member.key]) + new[member.end :]
        return new

    def _object(self, text: str) -> dict[str, object]:
        if not text.strip():
            return {}
        where = "it is no object of JSON"
        try:
            found = self._decoder.decode(text)
        except json.JSONDecodeError as error:
            where = f"it is not JSON: line {error.lineno}, column {error.colno}"
        except RecursionError:
            where = "it is nested too deeply"
        else:
            if isinstance(found, dict):
                return found
        raise ContentError(where)

    def _members(self, text: str) -> Iterator[_Member]:
        """Find where the values of the top level stand, in a text that is known to be an object of JSON."""
        at = _after_blanks(text, text.index("{") + 1)
        while text[at] != "}":
            key, at = self._decoder.raw_decode(text, at)
            start = _after_blanks(text, text.index(":", at) + 1)
            value, end = self._decoder.raw_decode(text, start)
            yield _Member(key, start, end, isinstance(value, dict | list))
            at = _after_blanks(text, end)
            if text[at] == ",":
                at = _after_blanks(text, at + 1)


def _with_members(text: str, members: list[_Member], missing: Mapping[str, str]) -> str:
    opening = text.index("{") + 1
    gap = text[opening : _after_blanks(text, opening)]
    new = [f"{_quoted(key)}: {_quoted(value)}" for key, value in missing.items()]
    if not new:
        return text
    if members:
        end = members[-1].end
        return text[:end] + "".join(f",{gap or ' '}{entry}" for entry in new) + text[end:]
    return text[:opening] + "\n  " + ",\n  ".join(new) + "\n" + text[opening + len(gap) :]


def _after_blanks(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | bool)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _nested(key: str) -> ContentError:
    return ContentError(f"its key {key!a} holds a structure, which is not ours to replace")


_HEAD = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<key>[A-Za-z_][A-Za-z0-9_]*)=")
_VALUE = re.compile(r"(?:'[^']*'|\"(?:[^\"\\]|\\.)*\"|[^\n'\"#]|(?<![ \t])#)*", re.DOTALL)
"""As a shell reads it: quotes may span lines, and a # after a blank begins a comment; it stops at an open quote."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_@!%+,./:=-]*")
"""What a shell, systemd, docker and compose all read as it stands; every token id and secret of PVE is."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of an env file (or several, within quotes): ``head + value + tail``; other lines are all tail."""

    head: str = ""
    key: str = ""
    value: str = ""
    tail: str = ""


class EnvCodec:
    """Lines of ``KEY=value`` as a shell, systemd's EnvironmentFile and compose read them; comments and order stay."""

    def fields(self, text: str) -> dict[str, str]:
        """Return the variables, of each name the last; what a shell would have to work out first is left out."""
        values = {line.key: _unquoted(line.value) for line in _lines(text) if line.key}
        return {key: value for key, value in values.items() if value is not None}

    def changed(self, text: str, changes: Mapping[str, str]) -> str:
        """Replace the values on their lines, ``export`` and comments kept, and put what is new at the end."""
        quoted = {key: _env_quoted(key, value) for key, value in changes.items()}
        lines = list(_lines(text))
        new = "".join(f"{line.head}{quoted.get(line.key, line.value)}{line.tail}" for line in lines)
        known = {line.key for line in lines}
        added = "".join(f"{key}={value}\n" for key, value in quoted.items() if key not in known)
        return f"{new}\n{added}" if added and new and not new.endswith("\n") else new + added


def _lines(text: str) -> Iterator[_Line]:
    at = 0
    while at < len(text):
        head = _HEAD.match(text, at)
        value = _VALUE.match(text, head.end()) if head else None
        if value and text[value.end() : value.end() + 1] in {"'", '"'}:
            raise ContentError(f"line {text.count(chr(10), 0, at) + 1}: a quote is not closed")
        start = value.end() if value else at
        end = text.find("\n", start) + 1 or len(text)
        bare = value[0].rstrip(" \t\r") if value else ""
        blank = value[0][len(bare) :] if value else ""
        yield _Line(head[0] if head else "", head["key"] if head else "", bare, blank + text[start:end])
        at = end


def _unquoted(value: str) -> str | None:
    if re.fullmatch(r"'[^']*'", value):
        return value[1:-1]
    if re.fullmatch(r'"(?:[^"\\]|\\.)*"', value, re.DOTALL):
        return re.sub(r'\\(["\\$`])', r"\1", value[1:-1])
    return None if re.search(r"['\"\\]", value) else value


def is_variable(key: str) -> bool:
    """Say whether a key can be the name of an environment variable."""
    return _NAME.fullmatch(key) is not None


def _env_quoted(key: str, value: str) -> str:
    """Quote so that a shell and systemd agree (systemd.exec(5)): ``'…'``, or ``"…"`` where a ``'`` is in it."""
    if not is_variable(key):
        raise ContentError(f"the key {key!a} is no name of a variable")
    if re.search(r"[\n\r\0]", value):
        raise ContentError(f"the value of {key!a} has a line break, which env files cannot hold everywhere")
    if _PLAIN.fullmatch(value):
        return value
    if "'" not in value:
        return f"'{value}'"
    return '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'


class TokenCodec:
    """One line ``user@realm!name=secret``, as it stands in an API token header; other keys have no place in it."""

    def fields(self, text: str) -> dict[str, str]:
        """Return the id and the secret; an empty file has none."""
        if not text.strip():
            return {}
        found, equals, secret = text.removesuffix("\n").partition("=")
        if not equals or not _is_token(found) or not re.fullmatch(r"\S+", secret):
            raise ContentError("it is not one line of the form user@realm!name=secret")
        return {TOKEN_ID: found, TOKEN_SECRET: secret}

    def changed(self, text: str, changes: Mapping[str, str]) -> str:
        """Write the line anew."""
        new = {**self.fields(text), **changes}
        if set(new) != {TOKEN_ID, TOKEN_SECRET}:
            raise ContentError(f"a token file holds {TOKEN_ID} and {TOKEN_SECRET}, both and nothing else")
        if not _is_token(new[TOKEN_ID]):
            raise ContentError(f"its {TOKEN_ID} would not be of the form user@realm!name")
        if not re.fullmatch(r"\S+", new[TOKEN_SECRET]):
            raise ContentError(f"its {TOKEN_SECRET} would be empty or have a blank")
        return f"{new[TOKEN_ID]}={new[TOKEN_SECRET]}\n"


class TextCodec:
    """A text of any form that is one value as a whole; what it means is the business of whoever writes it."""

    def __init__(self, key: str) -> None:
        self._key = key

    def fields(self, text: str) -> dict[str, str]:
        """Return the text under its key; an empty file has none."""
        return {self._key: text} if text.strip() else {}

    def changed(self, text: str, changes: Mapping[str, str]) -> str:
        """Put another text in its place."""
        if set(changes) - {self._key}:
            raise ContentError(f"it is one text, with {self._key!a} as its only key")
        return changes.get(self._key, text)


def _is_token(text: str) -> bool:
    try:
        TokenId.parse(text)
    except ValueError:
        return False
    return True


_CODECS: Mapping[Format, Codec] = {Format.JSON: JsonCodec(), Format.ENV: EnvCodec(), Format.TOKEN: TokenCodec()}
