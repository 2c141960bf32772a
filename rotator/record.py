"""A token with its secret, and what a backend holds of it. Immutable; a secret does not show itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType, NoReturn, Self

from rotator.secrecy import known

Version = NewType("Version", str)
"""What a store says of one state of one record; opaque, never the same again for a later state."""

USERID = re.compile(r"[^\s:/!@\ud800-\udfff]+(?:@[^\s:/!@\ud800-\udfff]+)*@[A-Za-z][A-Za-z0-9.\-_]+")
"""Half a character, which JSON can write, stands in no text that could be sent."""
TOKEN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.\-_]+")


class Secret:
    """A secret value that does not show itself: not in ``repr``, ``str``, formatting, JSON or a pickle.

    Its making is noted, by a hash, so that a log line that has it all the same is found out (``rotator.secrecy``).
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        known.learn(value)

    def reveal(self) -> str:
        """Return the value; the only way to it, so that uses can be searched for."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "Secret(…)"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled or copied to another process")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self


class Sealed(Secret):
    """A text in which something secret may stand: it does not show itself, and is none as a whole, so it is not noted.

    What a proxy says in the place of PVE stands in messages too, and people have to read it there.
    """

    __slots__ = ()

    def __init__(self, value: str) -> None:
        self._value = value


@dataclass(frozen=True, slots=True, order=True)
class TokenId:
    """The full id of a PVE API token, ``user@realm!name``."""

    userid: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``user@realm!name``; raises ``ValueError`` when it is anything else."""
        userid, bang, name = text.rpartition("!")
        if not bang or not USERID.fullmatch(userid) or not TOKEN_NAME.fullmatch(name):
            raise ValueError("not a token id of the form user@realm!name")
        return cls(userid, name)

    def __str__(self) -> str:
        return f"{self.userid}!{self.name}"


@dataclass(frozen=True, slots=True)
class Token:
    """A token with its secret: what a consumer logs in with."""

    id: TokenId
    secret: Secret


@dataclass(frozen=True, slots=True)
class Stored:
    """What a backend holds at a location: all keys, ours and foreign, and the version of this state."""

    fields: Mapping[str, Secret] = field(repr=False)
    version: Version


class UnusableRecordError(ValueError):
    """A destination holds something under our keys that is no token."""


TOKEN_ID_KEY, TOKEN_SECRET_KEY = "token_id", "token_secret"


def token_of(stored: Stored | None) -> Token | None:
    """Read the token out of what a backend holds; None when our keys are not there.

    Raises: ``UnusableRecordError`` when one of the two is missing or the id is none; the message shows no value.
    """
    token_id, secret = (stored.fields.get(key) if stored else None for key in (TOKEN_ID_KEY, TOKEN_SECRET_KEY))
    if token_id is None and secret is None:
        return None
    if token_id is None or secret is None or not secret.reveal():
        raise UnusableRecordError(f"it has only one of {TOKEN_ID_KEY} and {TOKEN_SECRET_KEY}")
    try:
        return Token(TokenId.parse(token_id.reveal()), secret)
    except ValueError:
        raise UnusableRecordError(f"its {TOKEN_ID_KEY} is not of the form user@realm!name") from None


def fields_of(token: Token) -> dict[str, Secret]:
    """Return the keys and values that a record of this token has."""
    return {TOKEN_ID_KEY: Secret(str(token.id)), TOKEN_SECRET_KEY: token.secret}
