"""A text with placeholders: what it is for one token, and that token read out of it again. Pure.

Placeholders are names in braces and nothing else: no attributes, indexes, conversions or format specifications, which
is why ``string.Formatter`` only parses. jinja2 was not taken: what it has rendered cannot be read back.

Reading back must never guess. Every placeholder is a run of characters; what follows it has to be a literal that begins
with none of these, so that there is one place only where the run can end. A template that does not keep to this is
written and not read (``is_readable``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from string import Formatter

from rotator.faults import InvalidValueError, suggestion


@dataclass(frozen=True, slots=True)
class Run:
    """What one value looks like, and in ``tail`` the characters that could belong to its end."""

    pattern: str
    tail: str


_NOTHING = "(?!)"
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-_]+)"
_URL = rf"https://{_HOST}:[0-9]+"
_NAME = Run(r"[A-Za-z][A-Za-z0-9.\-_]+", r"[A-Za-z0-9.\-_]")
_USER = Run(r"[^\s:/!]+", r"[^\s:/!]")
_SWITCH = Run("true|false", _NOTHING)
RUNS: Mapping[str, Run] = {
    "userid": _USER,
    "user": _USER,
    "realm": _NAME,
    "token_name": _NAME,
    "secret": Run(r".+", r"."),
    "cluster": Run(r"[a-z0-9-]+", r"[a-z0-9-]"),
    "host": Run(_HOST, r"[A-Za-z0-9.\-_]"),
    "port": Run(r"[0-9]+", r"[0-9]"),
    "endpoint_url": Run(_URL, r"[0-9]"),
    "api_url": Run(rf"{_URL}/api2/json", _NOTHING),
    "verify_ssl": _SWITCH,
    "insecure": _SWITCH,
    "expires_at": Run(r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?", r"[0-9]"),
}
"""What can be filled in, by name."""

_PLAIN_USER = Run(r"[A-Za-z0-9._@+~=%\-]+", r"[A-Za-z0-9._@+~=%\-]")
_PLAIN: Mapping[str, Run] = {
    **RUNS,
    "userid": _PLAIN_USER,
    "user": _PLAIN_USER,
    "secret": Run(r"[A-Za-z0-9._\-]+", r"[A-Za-z0-9._\-]"),
}
"""The same inside a larger text, where only what needs no quotes in YAML, TOML, JSON, a shell or a URL is written."""

_TOKEN_ID = (("", "userid"), ("!", "token_name"))
COMPOSED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "token_id": _TOKEN_ID,
    "token": (*_TOKEN_ID, ("=", "secret")),
    "name_secret": (("", "token_name"), ("=", "secret")),
    "auth_header": (("PVEAPIToken=", "userid"), *_TOKEN_ID[1:], ("=", "secret")),
}
"""What is made of several, each with the literal before it."""

VARIABLES = (*COMPOSED, *RUNS)
OF_A_TOKEN = frozenset({"userid", "user", "realm", "token_name", "secret"})
_HINT = "write {{ and }} for braces that are meant as such"


class UnfitError(ValueError):
    """A value cannot stand in a template: its name, never what it is."""


@dataclass(frozen=True, slots=True)
class Part:
    """A literal and the variable after it, '' at the end."""

    literal: str
    variable: str


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text. ``runs`` has the pattern of each variable, ``pattern`` that of everything it can become."""

    text: str
    parts: tuple[Part, ...]
    is_readable: bool
    """What it has become can be taken apart again."""
    runs: Mapping[str, re.Pattern[str]] = field(repr=False, compare=False)
    pattern: re.Pattern[str] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template.

        Raises: ``InvalidValueError`` for a lone brace, anything but a name in braces, an unknown name.
        """
        return _parsed(text)

    @property
    def variables(self) -> frozenset[str]:
        """Tell what it is made of, in the terms of ``RUNS``."""
        return frozenset(part.variable for part in self.parts) - {""}

    def fill(self, values: Mapping[str, str]) -> str:
        """Write the text with these values.

        Raises: ``UnfitError`` when one of them has characters that could be taken for a part of the text around it.
        """
        for variable in self.variables:
            if not self.runs[variable].fullmatch(values[variable]):
                raise UnfitError(variable)
        return "".join(part.literal + values.get(part.variable, "") for part in self.parts)

    def read(self, text: str) -> list[tuple[str, str]] | None:
        """Return what stands at each variable, in order, or None when the text is not of this form.

        What comes from the configuration may differ from what is configured: an endpoint may have changed since.
        """
        found = self.pattern.fullmatch(text) if self.is_readable else None
        names = [part.variable for part in self.parts if part.variable]
        return list(zip(names, found.groups(), strict=True)) if found else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Template:
    pieces = list(_pieces(text))
    is_alone = [bool(literal) + bool(name) for literal, name in pieces] == [1] and bool(pieces[0][1])
    runs = RUNS if is_alone else _PLAIN
    parts = tuple(_parts(pieces))
    patterns = {part.variable: runs[part.variable].pattern for part in parts if part.variable}
    whole = "".join(re.escape(it.literal) + (f"({patterns[it.variable]})" if it.variable else "") for it in parts)
    return Template(
        text=text,
        parts=parts,
        is_readable=_is_readable(parts, runs),
        runs={variable: re.compile(pattern, re.DOTALL) for variable, pattern in patterns.items()},
        pattern=re.compile(whole, re.DOTALL),
    )


def _parts(pieces: list[tuple[str, str]]) -> Iterator[Part]:
    literal = ""
    for before, name in pieces:
        literal += before
        for lead, variable in COMPOSED.get(name, (("", name),)) if name else ():
            yield Part(literal + lead, variable)
            literal = ""
    yield Part(literal, "")


def _is_readable(parts: tuple[Part, ...], runs: Mapping[str, Run]) -> bool:
    """Whether each variable ends where a literal begins that cannot belong to it, or with the text."""
    return all(
        not re.match(runs[part.variable].tail, after.literal) if after.literal else not after.variable
        for part, after in pairwise(parts)
    )


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield each literal with the name in braces after it, '' where there is none."""
    try:
        pieces = list(Formatter().parse(text))
    except ValueError:
        raise InvalidValueError("a brace without its other half", _HINT) from None
    for literal, name, specification, conversion in pieces:
        if name is not None:
            _check_name(name, is_bare=not specification and conversion is None)
        yield literal, name or ""


def _check_name(name: str, *, is_bare: bool) -> None:
    if not is_bare or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,31}", name):
        raise InvalidValueError("not the name of a variable in braces", f"write for example {{token_id}}; {_HINT}")
    if name not in VARIABLES:
        raise InvalidValueError(f"no variable is called '{name}'", suggestion(name, VARIABLES))
