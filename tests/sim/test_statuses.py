"""Which status and which words come back when something is wrong."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from urllib.parse import urlsplit

import pytest

from tests.sim.world import World

TOKENS = "/access/users/svc@pve/token"


def raw(world: World, data: bytes, *, tls: bool = True) -> bytes:
    """Send bytes to the first node and read until it closes."""
    parts = urlsplit(world.pve.nodes[0].url)
    address = (str(parts.hostname), int(parts.port or 0))
    context = ssl.create_default_context(cafile=str(world.ca))
    with socket.create_connection(address, timeout=10) as link:
        secure = context.wrap_socket(link, server_hostname="localhost") if tls else link
        with secure:
            secure.sendall(data)
            return b"".join(iter(lambda: secure.recv(65536), b""))


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_token_is_a_500(world: World, method: str) -> None:
    """Unknown token: 500 'no such token' (measured)."""
    answer = world.ask(method, f"{TOKENS}/nope", world.admin)
    assert (answer.status_code, answer.reason) == (500, "no such token 'nope' for user 'svc@pve'")
    assert answer.json() == {"data": None, "message": f"{answer.reason}\n"}


def test_deleting_twice_is_a_500(world: World) -> None:
    """The second deletion finds no such token (measured)."""
    world.pve.add_token("svc@pve", "t1")
    assert world.ask("DELETE", f"{TOKENS}/t1", world.admin).status_code == 200
    assert world.ask("DELETE", f"{TOKENS}/t1", world.admin).status_code == 500


def test_an_unknown_user_is_a_403(world: World) -> None:
    """Even for an Administrator (measured)."""
    answer = world.ask("GET", "/access/users/nosuch@pve/token", world.admin)
    assert (answer.status_code, answer.reason) == (403, "Permission check failed")


def test_a_user_id_without_a_realm_is_a_500(world: World) -> None:
    """It is refused before anything else is looked at (measured)."""
    answer = world.ask("POST", "/access/users/svc/token/xx", world.admin)
    assert (answer.status_code, answer.reason) == (500, "value 'svc' does not look like a valid user name")


def test_an_existing_id_is_a_400_at_its_parameter(world: World) -> None:
    """Creating over an existing token: 400 with errors.tokenid (measured)."""
    world.pve.add_token("svc@pve", "t1")
    answer = world.create(world.admin, "t1")
    assert (answer.status_code, answer.reason) == (400, "Parameter verification failed.")
    assert answer.json()["errors"] == {"tokenid": "Token already exists."}


def test_a_parameter_found_bad_inside_the_lock_is_a_500(world: World) -> None:
    """The reason is the first line, the message all of it; nothing is changed (measured)."""
    world.pve.add_token("svc@pve", "t1", comment="kept")
    answer = world.ask("PUT", f"{TOKENS}/t1", world.admin, {"delete": "expire", "comment": "x"})
    reason = "updating token info failed: 400 Parameter verification failed."
    assert (answer.status_code, answer.reason) == (500, reason)
    assert answer.json()["message"] == f"{reason}\ndelete: unknown option 'expire'\n"
    assert world.pve.token("svc@pve!t1") == {"privsep": 1, "expire": 0, "comment": "kept"}


@pytest.mark.parametrize(
    ("form", "errors"),
    [
        ({"expire": "-1"}, {"expire": "value must have a minimum value of 0"}),
        ({"expire": "1.5"}, {"expire": "type check ('integer') failed - got '1.5'"}),
        ({"privsep": "true"}, {"privsep": "type check ('boolean') failed - got 'true'"}),
        ({"privsep": "maybe"}, {"privsep": "type check ('boolean') failed - got 'maybe'"}),
        ({"comment": ["a", "b"]}, {"comment": "type check ('string') failed - got ARRAY"}),
        ({"tokenid": "zz"}, {"tokenid": "duplicate parameter (already defined in URI) with conflicting values!"}),
        (
            {"foo": "1"},
            {"foo": "property is not defined in schema and the schema does not allow additional properties"},
        ),
    ],
)
def test_bad_parameters_are_named_one_by_one(world: World, form: dict[str, object], errors: dict[str, str]) -> None:
    """400 with a sentence per parameter (measured)."""
    answer = world.create(world.admin, "t1", **form)
    assert (answer.status_code, answer.json()["errors"]) == (400, errors)
    assert world.pve.tokens("svc@pve") == []


def test_missing_parameters_are_named(world: World) -> None:
    """The property is missing and it is not optional (measured); whoever asks, before any permission on a path."""
    said = "property is missing and it is not optional"
    login = world.ask("POST", "/access/ticket", form={"username": "svc@pve"})
    assert (login.status_code, login.json()["errors"]) == (400, {"password": said})
    entry = world.ask("PUT", "/access/acl", world.ticket("plain@pve"), {"tokens": "svc@pve!t1"})
    assert (entry.status_code, entry.json()["errors"]) == (400, {"path": said, "roles": said})


def test_all_bad_parameters_are_named_at_once(world: World) -> None:
    """Verification does not stop at the first fault."""
    answer = world.create(world.admin, "t1", expire="x", privsep="no")
    assert set(answer.json()["errors"]) == {"expire", "privsep"}


def test_the_permission_is_checked_before_the_parameters(world: World) -> None:
    """Whoever may not do it does not learn what is wrong with it (measured: 403 for an unknown user)."""
    answer = world.create(world.ticket("plain@pve"), "t1", expire="x")
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/nope", "/version/x", f"{TOKENS}/a%20b", f"{TOKENS}/a%2Fb"])
def test_an_unknown_path_is_a_501(world: World, path: str) -> None:
    """501 in JSON, the message without a line break (measured)."""
    answer = world.ask("POST", path, world.admin)
    assert answer.status_code == 501
    assert (
        answer.json()["message"]
        == answer.reason
        == f"Method 'POST {path.replace('%20', ' ').replace('%2F', '/')}' not implemented"
    )


def test_a_known_path_with_another_method_is_a_501(world: World) -> None:
    """POST /access/acl is not implemented (measured)."""
    assert world.ask("POST", "/access/acl", world.admin).status_code == 501


@pytest.mark.parametrize("method", ["PATCH", "HEAD", "OPTIONS"])
def test_other_methods_are_a_501_without_a_body(world: World, method: str) -> None:
    """PVE knows GET, POST, PUT and DELETE (measured)."""
    answer = world.ask(method, "/version", world.token("svc@pve"))
    assert (answer.status_code, answer.reason, answer.content) == (501, f"method '{method}' not available", b"")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_body_on_get_or_delete_is_a_501(world: World, method: str) -> None:
    """Unexpected content (measured)."""
    answer = world.ask(method, "/version", world.admin, {"a": "b"})
    assert (answer.status_code, answer.text) == (501, f"Unexpected content for method '{method}'")
    assert "Content-Type" not in answer.headers


def test_a_chunked_body_is_a_501(world: World) -> None:
    """PVE takes no chunks (measured)."""
    host = urlsplit(world.pve.nodes[0].url).netloc
    link = http.client.HTTPSConnection(host, timeout=10, context=ssl.create_default_context(cafile=str(world.ca)))
    chunks = iter([b"comment=x"])
    link.request("POST", f"/api2/json{TOKENS}/t1", chunks, world.admin, encode_chunked=True)
    answer = link.getresponse()
    assert (answer.status, answer.reason) == (501, "chunked transfer encoding not supported")
    answer.read()
    link.close()


def test_a_body_over_512_kb_is_a_501(world: World) -> None:
    """PVE says 'for data too large' (measured)."""
    answer = world.create(world.admin, "t1", comment="x" * 600_000)
    assert (answer.status_code, answer.reason) == (501, "for data too large")


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x"])
def test_other_kinds_of_body_are_a_506(world: World, kind: str) -> None:
    """Forms and JSON only (measured)."""
    answer = world.ask("POST", f"{TOKENS}/t1", world.admin | {"Content-Type": kind}, body="a=b")
    assert (answer.status_code, answer.reason) == (506, f"upload 'Content-Type '{kind}' not implemented")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{bad", 'at character offset 1 (before "bad")'),
        ("", 'offset 0 (before "(end of string)")'),
        ("[]", "Not a HASH"),
    ],
)
def test_bad_json_is_a_500_in_text(world: World, body: str, said: str) -> None:
    """The parser's complaint is the answer (measured)."""
    answer = world.ask("POST", f"{TOKENS}/t1", world.admin | {"Content-Type": "application/json"}, body=body)
    assert answer.status_code == 500
    assert said in answer.reason
    assert "Content-Type" not in answer.headers


def test_json_bodies_work(world: World) -> None:
    """JSON false becomes 0, numbers come back as strings (measured)."""
    answer = world.ask("POST", f"{TOKENS}/t1", world.admin, json={"privsep": False, "expire": 0, "comment": "c"})
    assert answer.json()["data"]["info"] == {"privsep": "0", "expire": "0", "comment": "c"}


def test_plain_http_is_sent_to_https(world: World) -> None:
    """Plain HTTP to the TLS port: 301 to HTTPS (measured)."""
    answer = raw(world, b"GET /api2/json/version HTTP/1.1\r\nHost: pve.example:8006\r\n\r\n", tls=False)
    assert answer.startswith(b"HTTP/1.1 301 Moved Permanently\r\n")
    assert b"\r\nLocation: https://pve.example:8006/api2/json/version\r\n" in answer


@pytest.mark.parametrize("tls", [True, False])
def test_a_header_over_8_kb_gets_no_answer(world: World, *, tls: bool) -> None:
    """The connection is dropped after the idle time (measured: 5 s)."""
    world.pve.keep_alive = 0.05
    request = b"GET /api2/json/version HTTP/1.1\r\nAuthorization: " + b"x" * 9000
    assert raw(world, request, tls=tls) == b""
    assert raw(world, request + b"\r\n\r\n", tls=tls) == b""


def test_outside_of_the_api(world: World) -> None:
    """501 and 500 in plain text, without any credential and without delay (measured)."""
    said = {path: world.ask("GET", path) for path in ("/api2/", "/api2/xml/version")}
    assert (said["/api2/"].status_code, said["/api2/"].text) == (501, "no such uri")
    token = world.token("svc@pve")
    assert world.ask("GET", "/api2/xml/version", token).text == "no formatter for uri /version, xml"
    answer = raw(world, b"GET /foo HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 no such file '/foo'\r\n")


def test_the_dialect_of_the_web_page(world: World) -> None:
    """/api2/extjs answers a refusal with 200 and success 0 (measured)."""
    answer = world.ask("GET", "/api2/extjs/cluster/status", world.token("svc@pve"))
    message = "Permission check failed (/, Sys.Audit)\n"
    assert (answer.status_code, answer.json()) == (
        200,
        {"data": None, "message": message, "status": "403", "success": 0},
    )
    assert world.ask("GET", "/api2/extjs/access/ticket").json() == {"data": None, "success": 1}


def test_the_reason_phrase_is_utf_8(world: World) -> None:
    """PVE puts its message into the reason phrase as it is."""
    answer = raw(world, b"GET /%C3%BC HTTP/1.1\r\n\r\n")
    assert answer.startswith("HTTP/1.1 500 no such file '/ü'\r\n".encode())


def test_the_cache_breaker_is_ignored(world: World) -> None:
    """_dc may be on any call, other unknown parameters on none (measured)."""
    token = world.token("svc@pve")
    assert world.ask("GET", "/version?_dc=1", token).status_code == 200
    assert world.ask("GET", "/version?foo=1", token).status_code == 400


@pytest.mark.parametrize("path", [f"{TOKENS}//t1", f"{TOKENS}/t1/", "/access/users/svc%40pve/token/t1"])
def test_spellings_of_a_path(world: World, path: str) -> None:
    """Doubled and trailing slashes and percent signs make no difference (measured)."""
    world.pve.add_token("svc@pve", "t1")
    assert world.ask("GET", path, world.admin).json()["data"] == {"expire": 0, "privsep": 1}


def test_indexes(world: World) -> None:
    """The directory of the API (measured)."""
    token = world.token("svc@pve")
    assert {row["subdir"] for row in world.ask("GET", "/", token).json()["data"]} >= {"version", "access", "nodes"}
    assert {row["subdir"] for row in world.ask("GET", "/access", token).json()["data"]} >= {"users", "acl", "password"}


def test_an_older_pve_does_not_know_regenerate(world: World) -> None:
    """Before access-control 9.1.0 the parameter is not in the schema; nothing is changed."""
    world.pve.add_token("svc@pve", "t1")
    world.pve.regenerate_supported = False
    world.pve.version = "8.4.1"
    answer = world.ask("PUT", f"{TOKENS}/t1", world.admin, {"regenerate": "1"})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["regenerate"])
    assert world.ask("GET", "/version", world.admin).json()["data"] == {
        "version": "8.4.1",
        "release": "8.4",
        "repoid": "5117e5ed51b0",
    }


def test_answers_are_json_in_utf_8(world: World) -> None:
    """A comment comes back as it was sent (measured)."""
    world.create(world.admin, "cu", comment="ü→:x\nsecond line")
    answer = world.ask("GET", f"{TOKENS}/cu", world.admin)
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert "ü→:x".encode() in answer.content
    assert json.loads(answer.content.decode())["data"]["comment"] == "ü→:x\nsecond line"
