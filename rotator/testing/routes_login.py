"""``/access/ticket``, ``/access/password``, ``/access/tfa`` and the realms: logging in as a person does.

Measured on PVE 9.2: whatever is wrong with a login, the answer is the same 401 with a JSON body after 3 s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rotator.testing import access
from rotator.testing.method import (
    Ask,
    Method,
    anybody,
    existing_user,
    is_self_or,
    needs,
    reauthenticated,
    self_or_realm_manager,
    world,
)
from rotator.testing.names import (
    ROOT,
    normalize_path,
    privilege_complaint,
    realm_complaint,
    realm_of,
    userid_complaint,
)
from rotator.testing.refusal import RefusalError, bad_parameters, died, forbidden
from rotator.testing.routes_users import REALMS
from rotator.testing.schema import Param
from rotator.testing.second_factor import Factors, totp_from_uri
from rotator.testing.state import State, User

AUTHENTICATION_FAILURE = "authentication failure\n"

_USERID = Param(form=userid_complaint)
_LOGIN = {
    "username": Param(longest=64),
    "password": Param(),
    "realm": Param(optional=True, form=realm_complaint, longest=32),
    "otp": Param(optional=True),
    "path": Param(optional=True, longest=64, needs="privs"),
    "privs": Param(optional=True, longest=64, each=privilege_complaint, needs="path"),
    "new-format": Param("boolean", optional=True),
    "tfa-challenge": Param(optional=True),
}
_PASSWORD = {
    "userid": _USERID,
    "password": Param(shortest=8, longest=64),
    "confirmation-password": Param(optional=True, shortest=5, longest=64),
}
_FACTOR = {
    "userid": _USERID,
    "type": Param(choices=("totp", "u2f", "webauthn", "recovery", "yubico")),
    "description": Param(optional=True, longest=255),
    "totp": Param(optional=True),
    "value": Param(optional=True),
    "challenge": Param(optional=True),
    "password": Param(optional=True, shortest=5, longest=64),
}


def _log_in(ask: Ask) -> object:
    realm = ask.text("realm")
    userid = ask.text("username") + (f"@{realm}" if realm else "")
    user = ask.state.users.get(userid)
    answer = _accepted(ask, userid, user) if user and user.is_usable(ask.place.now()) else None
    if answer is None:
        raise RefusalError(401, AUTHENTICATION_FAILURE)
    if "NeedTFA" not in answer:
        answer["cap"] = access.capabilities(ask.state, userid)
    return answer


def _accepted(ask: Ask, userid: str, user: User) -> dict[str, object] | None:
    if ask.text("path"):
        return _checked(ask, userid, user)
    if ask.get("tfa-challenge") is not None:
        return _second_step(ask, userid)
    owner = ask.place.tickets.userid(ask.text("password"), ask.place.now())
    if owner in (userid, ROOT):
        return _ticket(ask, userid)
    if not _is_password(user, ask.text("password")):
        return None
    return _with_second_factor(ask, userid, user.factors) if user.factors else _ticket(ask, userid)


def _checked(ask: Ask, userid: str, user: User) -> dict[str, object] | None:
    own_ticket = ask.place.tickets.userid(ask.text("password"), ask.place.now()) == userid
    held = access.permissions(ask.state, userid, normalize_path(ask.text("path")) or "")
    known = own_ticket or (_is_password(user, ask.text("password")) and not user.factors)
    return {"username": userid} if known and set(ask.listed("privs")) <= held.keys() else None


def _second_step(ask: Ask, userid: str) -> dict[str, object] | None:
    if not ask.place.tickets.is_challenge(ask.text("tfa-challenge"), userid, ask.place.now()):
        return None
    return _ticket(ask, userid) if _use_factor(ask, userid, ask.text("password")) else None


def _with_second_factor(ask: Ask, userid: str, factors: Factors) -> dict[str, object] | None:
    otp = ask.get("otp")
    if otp is not None:
        return _ticket(ask, userid) if _use_factor(ask, userid, otp) else None
    ticket = ask.place.tickets.issue_challenge(userid, factors.challenge(), ask.place.now())
    return {**_ticket(ask, userid), "ticket": ticket, "NeedTFA": 1}


def _use_factor(ask: Ask, userid: str, response: str) -> bool:
    used: list[Factors] = []

    def edit(state: State) -> State:
        user = existing_user(state, userid)
        factors = user.factors.used(response, ask.place.now())
        used.extend([factors] if factors is not None else [])
        return state.with_user(userid, replace(user, factors=factors)) if factors is not None else state

    try:
        ask.place.write(edit)
    except RefusalError:
        return False  # without quorum a used code cannot be remembered, so it is not taken
    return bool(used)


def _ticket(ask: Ask, userid: str) -> dict[str, object]:
    tickets, now = ask.place.tickets, ask.place.now()
    csrf = tickets.issue_csrf(userid, now)
    return {"username": userid, "ticket": tickets.issue(userid, now), "CSRFPreventionToken": csrf}


def _is_password(user: User, given: str) -> bool:
    return bool(given) and user.password == given


def _change_password(ask: Ask) -> object:
    userid = ask.text("userid")
    reauthenticated(ask, "confirmation-password")
    if ask.who not in (userid, ROOT) and realm_of(userid) == "pam":
        raise forbidden()
    _change_user(ask, "change password failed", lambda user: replace(user, password=ask.text("password")))
    return None


def _change_user(ask: Ask, task: str, change: Callable[[User], User]) -> None:
    userid = ask.text("userid")
    ask.write(task, lambda state: state.with_user(userid, change(existing_user(state, userid))))


def _list_factors(ask: Ask) -> object:
    visible = ("User.Modify", "Sys.Audit")
    sees_all = access.is_held(ask.state, ask.who, "/access/groups", visible)
    groups = access.managed_groups(ask.state, ask.who, visible)
    return [
        {"userid": userid, "entries": user.factors.entries()}
        for userid, user in sorted(ask.state.users.items())
        if user.factors and (sees_all or userid == ask.who or user.groups & groups)
    ]


def _read_factors(ask: Ask) -> object:
    return ask.user().factors.entries()


def _add_factor(ask: Ask) -> object:
    reauthenticated(ask, "password")
    if ask.text("type") == "recovery":
        return _add_recovery(ask)
    if ask.text("type") == "totp":
        return _add_totp(ask)
    raise died(f"second factors of type '{ask.text('type')}' are not simulated")


def _add_recovery(ask: Ask) -> object:
    factors = ask.user().factors.with_recovery(ask.place.now())
    _change_user(ask, "enabling TFA for the user failed", lambda user: replace(user, factors=factors))
    return {"id": "recovery", "recovery": [f"{at}: {code}" for at, code in enumerate(factors.recovery)]}


def _add_totp(ask: Ask) -> object:
    totp = totp_from_uri(ask.text("totp"), ask.text("description"), ask.place.now())
    if totp is None:
        raise bad_parameters({"totp": "not a valid otpauth address"})
    if totp.used(ask.text("value"), ask.place.now()) is None:
        raise died("failed to verify TOTP challenge")
    entry = f"totp-{len(ask.user().factors.totp) + 1}"

    def change(user: User) -> User:
        return replace(user, factors=replace(user.factors, totp={**user.factors.totp, entry: totp}))

    _change_user(ask, "enabling TFA for the user failed", change)
    return {"id": entry}


def _delete_factor(ask: Ask) -> object:
    reauthenticated(ask, "password")
    factors = ask.user().factors.without(ask.text("id"))
    if factors is None:
        raise RefusalError(404, f"no such tfa entry '{ask.text('id')}'\n")
    _change_user(ask, "removing TFA entry failed", lambda user: replace(user, factors=factors))
    return None


def _realms(_ask: Ask) -> object:
    return [{"realm": realm, "type": realm, "comment": comment} for realm, comment in REALMS.items()]


def _read_realm(ask: Ask) -> object:
    realm = ask.text("realm")
    if realm not in REALMS:
        raise died(f"domain '{realm}' does not exist")
    return {"type": realm, "comment": REALMS[realm]}


def _nothing(_ask: Ask) -> object:
    return None


_TFA, _USER_TFA = "/access/tfa", "/access/tfa/{userid}"
_ENTRY = {"userid": _USERID, "id": Param(), "password": Param(optional=True, shortest=5, longest=64)}
_SEES, _CHANGES = is_self_or("User.Modify", "Sys.Audit"), is_self_or("User.Modify")
_AUDITS = needs("/access/realm", "Realm.Allocate", "Sys.Audit")

METHODS = (
    Method("GET", "/access/ticket", world, _nothing),
    Method("POST", "/access/ticket", world, _log_in, _LOGIN, protected=True, takes_tokens=False),
    Method(
        "PUT",
        "/access/password",
        self_or_realm_manager,
        _change_password,
        _PASSWORD,
        protected=True,
        takes_tokens=False,
    ),
    Method("GET", _TFA, anybody, _list_factors, protected=True),
    Method("GET", _USER_TFA, _SEES, _read_factors, {"userid": _USERID}, protected=True),
    Method("POST", _USER_TFA, _CHANGES, _add_factor, _FACTOR, protected=True, takes_tokens=False),
    Method("DELETE", f"{_USER_TFA}/{{id}}", _CHANGES, _delete_factor, _ENTRY, protected=True, takes_tokens=False),
    Method("GET", "/access/domains", world, _realms),
    Method("GET", "/access/domains/{realm}", _AUDITS, _read_realm, {"realm": Param(form=realm_complaint)}),
)
