"""Where the operator's token is kept: one record in one store, by the backend's own port."""

from __future__ import annotations

from dataclasses import dataclass

from rotator.backend import Backend
from rotator.errors import OutcomeUnknownError, RefusedError, RotatorError
from rotator.model import Destination, Token, UnusableRecordError, Version
from rotator.setup.port import Access
from rotator.setup.present import Present, Stored
from rotator.setup.things import OperatorToken


@dataclass(frozen=True)
class OperatorPlace:
    """One destination in its backend."""

    backend: Backend
    destination: Destination

    def look(self, access: Access, present: Present) -> Stored:
        """Read it, and find out whether PVE takes what is there; who is not in PVE's list is not tried.

        Raises: ``RefusedError`` when something else is there; what the backend's ``read`` raises.
        """
        token, _ = self._read()
        if token is None:
            return Stored()
        is_known = present.token(OperatorToken(token.id.userid, token.id.name)) is not None
        return Stored(token, is_accepted=is_known and access.is_accepted(token))

    def issue(self, access: Access, thing: OperatorToken, comment: str) -> Token:
        """Issue the token and store it; a token that cannot be stored is revoked again.

        Crash: a token of ours whose secret is in no store; a repeat replaces it.
        Raises: ``RefusedError``; what the backend and PVE raise.
        """
        _, version = self._read()
        self.backend.preflight(self.destination.location)
        secret = access.issue_operator(thing.id, comment)
        token = Token(thing.id, secret)
        try:
            self._store(token, version)
        except OutcomeUnknownError as error:
            hint = "run it again: it finds out, and replaces that token unless it is there"
            raise OutcomeUnknownError(f"{error}; {token.id} was issued for it", hint=hint) from None
        except RotatorError as error:
            raise self._taken_back(access, token, error) from None
        return token

    def _store(self, token: Token, version: Version | None) -> None:
        fields = self.destination.shape.render(token, None)
        try:
            self.backend.write(self.destination.location, fields, expected=version)
        except OutcomeUnknownError:
            if self._read()[0] != token:
                raise

    def _taken_back(self, access: Access, token: Token, error: RotatorError) -> RotatorError:
        try:
            access.revoke(token.id)
        except RotatorError as failure:
            message = f"{error}; {token.id} was issued for it and could not be revoked again: {failure}"
            return RefusedError(message, hint="run it again: it replaces that token, which nobody can use")
        return RefusedError(f"{error}; {token.id}, which was issued for it, was revoked again", hint=error.hint)

    def _read(self) -> tuple[Token | None, Version | None]:
        stored = self.backend.read(self.destination.location)
        try:
            return self.destination.shape.read(stored), stored.version if stored else None
        except UnusableRecordError as error:
            raise RefusedError(
                f"{self.destination.label} holds something that is no token: {error}; it was left alone",
                hint="choose another place for the operator's token",
            ) from None
