"""The API of one node: from a request to an answer, in the order in which PVE looks at things.

Method, transfer encoding, address, credentials (before the body is looked at), body, format; then the parameters in the
path against those in the body, the permission, and only then the parameters one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus

from rotator.testing import routes_acl, routes_cluster, routes_login, routes_tokens, routes_users
from rotator.testing.door import Caller, UnknownCallerError, caller
from rotator.testing.exchange import SECRET_PARAMETERS, Request
from rotator.testing.method import Ask, Method, Place
from rotator.testing.names import ROOT
from rotator.testing.refusal import RefusalError, bad_parameters, forbidden
from rotator.testing.schema import Value, verify
from rotator.testing.wire import (
    MAX_BODY,
    Message,
    Reply,
    first_line,
    in_extjs,
    in_json,
    in_text,
    json_body,
    refused_in_extjs,
    refused_in_json,
)

_VERBS = ("GET", "POST", "PUT", "DELETE")
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_METHODS = (
    *routes_cluster.METHODS,
    *routes_login.METHODS,
    *routes_users.METHODS,
    *routes_tokens.METHODS,
    *routes_acl.METHODS,
)


class PlainRefusalError(Exception):
    """A refusal outside of the API's formats."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Envelope:
    """An API request whose address is understood: what a fault may still keep from being done by ``perform``."""

    request: Request
    perform: Callable[[], Reply]


def opened(place: Place, message: Message) -> Envelope:
    """Look at a request without doing anything. Raises: ``PlainRefusalError`` when it is none for the API."""
    if message.method not in _VERBS:
        raise PlainRefusalError(Reply(501, f"method '{message.method}' not available"))
    if message.is_chunked:
        raise _plain(501, "chunked transfer encoding not supported")
    raw_path, _, query = message.target.partition("?")
    path, form = _address(unquote(raw_path))
    try:
        who = caller(place, message, path)
    except UnknownCallerError as error:
        refused = Reply(401, str(error), is_refused_login=True)
        return Envelope(Request(place.name, message.method, path, "", {}), lambda: refused)
    params = _parameters(message, query)
    visible = {name: value for name, value in params.items() if name not in SECRET_PARAMETERS}
    request = Request(place.name, message.method, path, who.who, visible)
    return Envelope(request, lambda: _answer(place, who, message.method, path, form, params))


def performed(place: Place, who: Caller, verb: str, path: str, params: Mapping[str, Value]) -> object:
    """Do one call for somebody who was let in, without any HTTP, and return its data. Raises: ``RefusalError``."""
    method, in_path = _find(verb, path)
    return method.run(_asked(place, who, method, path, _merged(in_path, params)))


def _address(path: str) -> tuple[str, str]:
    path = path.removesuffix("\n")
    if not path.startswith("/api2"):
        raise _plain(500, f"no such file '{path}'\n")
    found = re.fullmatch(r"/api2/+([a-z]+)(/.*)?", path, re.DOTALL)
    if not found:
        raise _plain(501, "no such uri")
    return found[2] or "/", found[1]


def _parameters(message: Message, query: str) -> dict[str, Value]:
    params = _pairs(query)
    if message.length and message.method not in ("POST", "PUT"):
        raise _plain(501, f"Unexpected content for method '{message.method}'")
    if message.length > MAX_BODY:
        raise _plain(501, "for data too large")
    said = message.header("content-type")
    kind = re.split(r"\s*[;,]\s*", said)[0]
    if message.length and kind not in ("", _FORM, _JSON):
        raise _plain(506, f"upload 'Content-Type '{said}' not implemented")
    if message.method in ("POST", "PUT"):
        params = (_json(message.body) if kind == _JSON else _pairs(message.body.decode("utf-8", "replace"))) | params
    params.pop("_dc", None)
    return params


def _pairs(text: str) -> dict[str, Value]:
    params: dict[str, Value] = {}
    for pair in filter(None, re.split(r"[&;]", text)):
        name, _, raw = pair.partition("=")
        name, value = unquote_plus(name), unquote_plus(raw)
        before = params.get(name)
        params[name] = value if before is None else [*([before] if isinstance(before, str) else before), value]
    return params


def _json(body: bytes) -> dict[str, Value]:
    try:
        given = json_body(body)
    except RefusalError as refusal:
        raise _plain(refusal.status, refusal.text) from None
    return {name: _as_parameter(value) for name, value in given.items() if value is not None}


def _as_parameter(value: object) -> Value:
    if isinstance(value, list):
        return [str(item) for item in value]
    return str(int(value)) if isinstance(value, bool) else str(value)


def _plain(status: int, message: str) -> PlainRefusalError:
    return PlainRefusalError(in_text(status, message))


def _answer(place: Place, who: Caller, verb: str, path: str, form: str, params: Mapping[str, Value]) -> Reply:  # noqa: PLR0917 - all that an answer depends on
    if form not in ("json", "extjs"):
        return in_text(501, f"no formatter for uri {path}, {form}")
    close = verb != "GET"
    try:
        method, in_path = _find(verb, path)
        ask = _asked(place, who, method, path, _merged(in_path, params))
        close = close or method.protected
        data = method.run(ask)
    except RefusalError as refusal:
        return refused_in_json(refusal) if form == "json" else refused_in_extjs(refusal, close=close)
    return in_json(data, close=close) if form == "json" else in_extjs(data, close=close)


def _asked(place: Place, who: Caller, method: Method, path: str, params: Mapping[str, Value]) -> Ask:
    if who.shows_token and not method.takes_tokens:
        raise forbidden(f"URI '{path}' not available with API token, need proper ticket.\n")
    ask = Ask(place, who.who, params, place.view())
    if who.who != ROOT:
        method.check(ask)
    verify({name: param for name, param in method.params.items() if name not in place.unknown_parameters}, params)
    return ask


def _merged(in_path: Mapping[str, str], params: Mapping[str, Value]) -> dict[str, Value]:
    said = "duplicate parameter (already defined in URI) with conflicting values!"
    conflicts = {name: said for name, value in in_path.items() if params.get(name, value) != value}
    if conflicts:
        raise bad_parameters(conflicts)
    return {**params, **in_path}


def _segments(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


def _table() -> dict[tuple[str, int], list[tuple[tuple[str, ...], Method]]]:
    table: dict[tuple[str, int], list[tuple[tuple[str, ...], Method]]] = {}
    for method in _METHODS:
        segments = _segments(method.path)
        table.setdefault((method.verb, len(segments)), []).append((segments, method))
    return table


_TABLE = _table()


def _find(verb: str, path: str) -> tuple[Method, dict[str, str]]:
    given = _segments(path)
    for pattern, method in _TABLE.get((verb, len(given)), ()):
        found = _match(pattern, given)
        if found is not None:
            return method, found
    raise RefusalError(501, f"Method '{verb} {first_line(path)}' not implemented")


def _match(pattern: tuple[str, ...], given: tuple[str, ...]) -> dict[str, str] | None:
    found = {}
    for wanted, part in zip(pattern, given, strict=True):
        if wanted.startswith("{") and not re.search(r"\s", part):
            found[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return found
