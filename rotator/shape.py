"""How a record shows a token: under which keys, in which words. Pure, and a token can always be read back.

A record has the keys that its consumer wants, each made from a template, and beside them ``token_id`` and
``token_secret``, unless the token can be read back out of the others.

What can be read back, and what it takes for that, is the business of ``rotator.template``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from rotator.errors import RefusedError
from rotator.record import (
    TOKEN_ID_KEY,
    TOKEN_SECRET_KEY,
    Secret,
    Stored,
    Token,
    TokenId,
    UnusableRecordError,
    fields_of,
    token_of,
)
from rotator.template import OF_A_TOKEN, Template, UnfitError

CANONICAL_KEYS = (TOKEN_ID_KEY, TOKEN_SECRET_KEY)
_EXPIRES_AT = "expires_at"
_PIECES = frozenset({"user", "realm", "token_name", "secret"})
"""What a token is put together from when it is read back."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The keys of a record with their templates, in order, and what the configuration fills in (``constants``)."""

    fields: tuple[tuple[str, Template], ...] = ()
    constants: tuple[tuple[str, str], ...] = ()
    is_canonical: bool = True
    """``token_id`` and ``token_secret`` stand beside them."""

    @property
    def keys(self) -> tuple[str, ...]:
        """List all keys that are written."""
        own = tuple(key for key, _ in self.fields)
        return own + tuple(key for key in CANONICAL_KEYS if self.is_canonical and key not in own)

    @property
    def is_invertible(self) -> bool:
        """Say whether id and secret can be read back without the canonical keys."""
        told = {variable for _, template in self._readable() for variable in template.variables}
        return {"token_name", "secret"} <= told and ("userid" in told or {"user", "realm"} <= told)

    def render(self, token: Token, expire: datetime | None) -> dict[str, Secret]:
        """Return the keys and values that show a token; ``expire`` is the end that PVE enforces, if any.

        Raises: ``RefusedError`` when the token has characters that would be taken for the text around them; none that
        PVE makes for a user with a plain name has.
        """
        values = self._values(token, "" if expire is None else expire.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        shown = fields_of(token) if self.is_canonical else {}
        try:
            return {**shown, **{key: Secret(template.fill(values)) for key, template in self.fields}}
        except UnfitError as error:
            raise RefusedError(
                f"the fields cannot show {token.id}: its {error} has characters that need quotes there",
                hint="let a field be {token_id}, {secret} or {token} alone, without a text around it",
            ) from None

    def read(self, stored: Stored | None) -> Token | None:
        """Read the token out of what a backend holds; None when there is none.

        A record from before a change of the configuration, with the canonical keys or without, is read too.
        Raises: ``UnusableRecordError`` when what is there is no token or not one token; the message shows no value.
        """
        if stored is None:
            return None
        if self.is_canonical:
            return token_of(stored) or self._read_back(stored)
        is_free = not set(CANONICAL_KEYS) & set(self.keys)
        return self._read_back(stored) or (token_of(stored) if is_free else None)

    def shows(self, stored: Stored, token: Token) -> bool:
        """Say whether every key shows this token as configured. The end that it has at PVE does not count."""
        if self.is_canonical and any(stored.fields.get(key) != value for key, value in fields_of(token).items()):
            return False
        return all(self._shows(stored.fields.get(key), template, token) for key, template in self.fields)

    def _shows(self, value: Secret | None, template: Template, token: Token) -> bool:
        if value is None:
            return False
        end = dict(template.read(value.reveal()) or ()).get(_EXPIRES_AT, "")
        if _EXPIRES_AT in template.variables and not template.is_readable:
            return True
        try:
            return template.fill(self._values(token, end)) == value.reveal()
        except UnfitError:
            return False

    def _readable(self) -> Iterator[tuple[str, Template]]:
        """Yield the keys that tell something of the token."""
        return ((key, it) for key, it in self.fields if it.is_readable and it.variables & OF_A_TOKEN)

    def _read_back(self, stored: Stored) -> Token | None:
        """Read the token without the canonical keys; where there is no secret there is no token."""
        held = {key: (template, stored.fields[key]) for key, template in self._readable() if key in stored.fields}
        secrets = (value for template, value in held.values() if "secret" in template.variables)
        if not self.is_invertible or not any(value.reveal().strip() for value in secrets):
            return None
        told: dict[str, str] = {}
        for key, (template, value) in held.items():
            for variable, text in _told(key, template, value):
                if told.setdefault(variable, text) != text:
                    raise UnusableRecordError(f"its {key} and another key do not show the same token")
        if len(told) < len(_PIECES):
            raise UnusableRecordError("it has a secret and does not say of which token")
        return _token(told)

    def _values(self, token: Token, end: str) -> Mapping[str, str]:
        user, _, realm = token.id.userid.rpartition("@")
        return {
            **dict(self.constants),
            "userid": token.id.userid,
            "user": user,
            "realm": realm,
            "token_name": token.id.name,
            "secret": token.secret.reveal(),
            _EXPIRES_AT: end,
        }


def _told(key: str, template: Template, value: Secret) -> Iterator[tuple[str, str]]:
    """Yield what one key tells of the token. Raises: ``UnusableRecordError``."""
    read = template.read(value.reveal())
    if read is None:
        raise UnusableRecordError(f"its {key} is not what the configuration would write there")
    for variable, text in read:
        if variable == "userid":
            user, _, realm = text.rpartition("@")
            yield from (("user", user), ("realm", realm))
        elif variable in _PIECES:
            yield variable, text


def _token(told: Mapping[str, str]) -> Token:
    try:
        token = TokenId.parse(f"{told['user']}@{told['realm']}!{told['token_name']}")
    except ValueError:
        raise UnusableRecordError("what it shows is not of the form user@realm!name") from None
    return Token(token, Secret(told["secret"]))


CANONICAL = Shape()
"""``token_id`` and ``token_secret``, and nothing else."""
