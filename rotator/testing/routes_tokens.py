"""``/access/users/{userid}/token``: the API tokens of a user, as measured on PVE 9.2.

Without User.Modify on a group of the user, or its own ticket, nobody sees or changes them, the token itself included.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace

from rotator.testing.method import Ask, Method, existing_user, is_self_or
from rotator.testing.names import TOKEN_NAME, option_complaint, split_list, userid_complaint, verify_userid
from rotator.testing.refusal import bad_parameters, died
from rotator.testing.schema import Param
from rotator.testing.state import State, Token

USERID = Param(form=userid_complaint)
_TOKENID = Param(pattern=TOKEN_NAME)
_INFO = {
    "expire": Param("integer", optional=True, minimum=0),
    "privsep": Param("boolean", optional=True),
    "comment": Param(optional=True),
}
_CHANGE = {**_INFO, "delete": Param(optional=True, each=option_complaint)}
_ONE = {"userid": USERID, "tokenid": _TOKENID}


def draw_secret() -> str:
    """Draw a secret in PVE's shape, a lower-case UUID."""
    return str(uuid.uuid4())


def make_token(state: State, userid: str, name: str, token: Token) -> State:
    """Add a token. Raises: ``RefusalError`` when the user is not there or the id is taken."""
    existing_user(state, userid)
    if state.find_token(userid, name):
        raise died("Token already exists.")
    return state.with_token(userid, name, token)


def existing_token(state: State, userid: str, name: str) -> Token:
    """Return a token; 500 when it or its user is not there."""
    token = existing_user(state, userid).tokens.get(name)
    if token is None:
        raise died(f"no such token '{name}' for user '{userid}'")
    return token


def _list(ask: Ask) -> object:
    return [{"tokenid": name, **token.shown()} for name, token in ask.user().tokens.items()]


def _read(ask: Ask) -> object:
    return existing_token(ask.state, verify_userid(ask.text("userid")), ask.text("tokenid")).shown()


def _create(ask: Ask) -> object:
    userid, name = verify_userid(ask.text("userid")), ask.text("tokenid")
    if name in ask.user().tokens:
        raise bad_parameters({"tokenid": "Token already exists."})
    token = Token(
        draw_secret(),
        privsep=ask.flag("privsep", default=True),
        expire=ask.number("expire"),
        comment=ask.text("comment"),
    )
    ask.write("generating token failed", lambda state: make_token(state, userid, name, token))
    info: dict[str, object] = {"privsep": 1} | _echo(ask, "privsep", "expire")
    info |= {"comment": token.comment} if token.comment else {}
    return {"info": info, "value": token.secret, "full-tokenid": f"{userid}!{name}"}


@dataclass
class _Change:
    """One change of a token; keeps what came of it, for the answer."""

    ask: Ask
    secret: str | None
    result: dict[str, object] = field(default_factory=dict)

    def __call__(self, state: State) -> State:
        ask, userid, name = self.ask, self.ask.text("userid"), self.ask.text("tokenid")
        token = existing_token(state, userid, name)
        dropped = set(split_list(ask.text("delete")))
        unknown = min(dropped - {"comment"}, default=None)
        if unknown is not None:
            raise bad_parameters({"delete": f"unknown option '{unknown}'"})
        comment = token.comment if ask.get("comment") is None else ask.text("comment")
        token = replace(
            token,
            privsep=ask.flag("privsep", default=token.privsep),
            expire=token.expire if ask.get("expire") is None else ask.number("expire"),
            comment="" if "comment" in dropped else comment,
            secret=self.secret or token.secret,
        )
        self.result = token.shown() | _echo(ask, "privsep", "expire")
        return state.with_token(userid, name, token)


def _update(ask: Ask) -> object:
    userid, name = verify_userid(ask.text("userid")), ask.text("tokenid")
    existing_token(ask.state, userid, name)
    change = _Change(ask, draw_secret() if ask.flag("regenerate") else None)
    ask.write("updating token info failed", change)
    if change.secret:
        return {**change.result, "value": change.secret, "full-tokenid": f"{userid}!{name}"}
    return change.result


def _delete(ask: Ask) -> object:
    userid, name = verify_userid(ask.text("userid")), ask.text("tokenid")
    existing_token(ask.state, userid, name)

    def edit(state: State) -> State:
        existing_token(state, userid, name)
        return state.without_token(userid, name)

    ask.write("deleting token failed", edit)
    return None


def _echo(ask: Ask, *names: str) -> dict[str, object]:
    return {name: ask.text(name) for name in names if ask.get(name) is not None}


REGENERATE = Param("boolean", optional=True)
"""The parameter that PVE has only since access-control 9.1.0."""

_ALL = "/access/users/{userid}/token"
_EACH = f"{_ALL}/{{tokenid}}"
_MAY = is_self_or("User.Modify")

METHODS = (
    Method("GET", _ALL, _MAY, _list, {"userid": USERID}),
    Method("GET", _EACH, _MAY, _read, _ONE),
    Method("POST", _EACH, _MAY, _create, _ONE | _INFO, protected=True),
    Method("PUT", _EACH, _MAY, _update, _ONE | _CHANGE | {"regenerate": REGENERATE}, protected=True),
    Method("DELETE", _EACH, _MAY, _delete, _ONE, protected=True),
)
