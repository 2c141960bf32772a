"""What a consumer shows to PVE: every row of the usual table of errors, made on a simulated PVE and named."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import process_time
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from rotator.cli.doctoring import MOST
from rotator.doctor.given import read_given, stored_fault
from rotator.doctor.request import read_url
from rotator.model import Secret
from rotator.testing.pve import AnswerInstead
from rotator.testing.state import Holder
from tests.cli.lab import USER, only
from tests.doctor.clinic import GROUP, OPERATOR, PASSWORD, Clinic, codes_of

API = "/api2/json"
PERSON = "person@pve"
Shows = Callable[[Clinic], str]


def shown(clinic: Clinic) -> str:
    """Return the header that shows the published token."""
    record = clinic.record("ci")
    return f"Authorization: PVEAPIToken={record['token_id']}={record['token_secret']}\n"


def url(clinic: Clinic, path: str = "/version", *, scheme: str = "https") -> str:
    """Return an address of the API."""
    return f"{scheme}://{clinic.pve.nodes[0].endpoint}{API}{path}"


def person(clinic: Clinic) -> None:
    """Add a user with a password, who may look at everything but the cluster's own state."""
    clinic.pve.add_user(PERSON, password=PASSWORD, groups=[GROUP])
    clinic.pve.grant("/vms", "PVEVMUser", user=PERSON)


def ticket(clinic: Clinic, *, born: float = 0.0, csrf: bool = True) -> str:
    """Return the headers of a login that was made so many seconds ago."""
    now = clinic.time.stamp() - born
    made = clinic.pve.tickets.issue(PERSON, now)
    clinic.watch(made)
    clinic.watch(quote(made, safe=""))
    lines = [f"Cookie: PVEAuthCookie={quote(made, safe='')}"]
    lines += [f"CSRFPreventionToken: {clinic.pve.tickets.issue_csrf(PERSON, now)}"] if csrf else []
    return "\n".join(lines)


# the rows of the table


def test_a_wrong_password_is_named(clinic: Clinic) -> None:
    """401: the user is there, enabled and not expired, so it is the password."""
    person(clinic)
    assert clinic.request(f"username={quote(PERSON)}&password=something+else") == ["request: password-wrong"]
    assert clinic.request(f"username={quote(PERSON)}&password={quote(PASSWORD)}") == []


def test_a_wrong_token_value_is_named(clinic: Clinic) -> None:
    """401: the token is there, so it is its secret."""
    wrong = f"PVEAPIToken={clinic.current}=99999999-9999-4999-8999-999999999999"
    assert clinic.request(wrong, url(clinic)) == ["request: secret-wrong"]
    assert clinic.refused() == 1


def test_a_ticket_older_than_two_hours_is_named(clinic: Clinic) -> None:
    """401: and PVE is not even asked, for a ticket says when it was made."""
    person(clinic)
    assert clinic.request(ticket(clinic, born=7300), url(clinic)) == ["request: ticket-expired"]
    assert clinic.refused() == 0
    assert clinic.request(ticket(clinic, born=7000), url(clinic)) == []


def test_a_token_that_does_not_exist_is_named(clinic: Clinic) -> None:
    """401: the operator does not see it in its user's list."""
    header = shown(clinic)
    clinic.pve.delete_token(clinic.current)
    assert clinic.request(header, url(clinic)) == ["request: token-gone"]
    assert clinic.refused() == 0


def test_http_instead_of_https_is_named(clinic: Clinic) -> None:
    """301 in truth: what was shown is not sent along to find that out."""
    results = clinic.doctor("--header", "-", "--url", url(clinic, scheme="http"), stdin=shown(clinic))
    assert codes_of(results) == ["request: plain-http"]
    finding = only(only(results)["findings"])
    assert f"it answers 301, to {url(clinic)}" in finding["evidence"][0]
    assert finding["commands"] == [f"write https://{clinic.pve.nodes[0].endpoint}"]


def test_http_without_a_port_is_told_where_https_is(clinic: Clinic) -> None:
    """HTTP's own port 80 is none of PVE's, whatever stands before it."""
    results = clinic.doctor("--url", "http://127.0.0.1/api2/json")
    assert only(only(results)["findings"])["commands"] == [f"write https://{clinic.pve.nodes[0].endpoint}"]


def test_a_user_that_lacks_a_permission_is_named(clinic: Clinic) -> None:
    """403: PVE names path and privilege, the user itself does not have it."""
    assert clinic.request(shown(clinic), url(clinic, "/cluster/status")) == ["request: user-lacks-role"]


def test_a_token_that_lacks_a_permission_of_its_user_is_named(clinic: Clinic) -> None:
    """403: the user has it, the token has entries elsewhere."""
    clinic.pve.grant("/", "PVEAuditor", user=USER)
    clinic.change_token(privsep=True)
    clinic.pve.grant("/vms", "PVEVMUser", token=clinic.current)
    assert clinic.request(shown(clinic), url(clinic, "/cluster/status")) == ["request: acl-path-elsewhere"]


def test_a_ticket_without_its_csrf_token_is_named(clinic: Clinic) -> None:
    """401 in truth, on PVE 9: for a changing call, which is not made to find that out."""
    person(clinic)
    where = url(clinic, "/nodes/pve1/qemu/100/status/start")
    assert clinic.request(ticket(clinic, csrf=False), where, method="POST") == ["request: csrf-missing"]
    assert clinic.request(ticket(clinic, csrf=False), url(clinic)) == []
    assert clinic.request(ticket(clinic), where, method="POST") == []
    assert {call.method for call in clinic.pve.calls} == {"GET"}


def test_privilege_separation_without_entries_is_named(clinic: Clinic) -> None:
    """403: privsep=1 and nothing granted, whether a path is known or not."""
    clinic.pve.grant("/", "PVEAuditor", user=USER)
    clinic.change_token(privsep=True)
    for where in (url(clinic, "/cluster/status"), url(clinic), ""):
        assert clinic.request(shown(clinic), where) == ["request: privsep-without-acl"]


# what else a consumer gets wrong


def harm_user(**settings: Any) -> Callable[[Clinic], None]:  # noqa: ANN401 - any field of a user
    """Make what changes the user of the published token."""
    return lambda clinic: clinic.change_user(**settings)


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda clinic: clinic.change_token(expire=int(clinic.time.stamp()) - 1), "token-expired"),
        (harm_user(enable=False), "user-disabled"),
        (harm_user(expire=1), "user-expired"),
        (lambda clinic: clinic.pve.cluster.plant(lambda state: state.without_user(USER)), "user-gone"),
    ],
    ids=["token-expired", "user-disabled", "user-expired", "user-gone"],
)
def test_a_consumers_token_is_judged_from_the_operators_side_too(
    clinic: Clinic, harm: Callable[[Clinic], None], code: str
) -> None:
    """The same causes as for a credential, without asking PVE with the secret."""
    header = shown(clinic)
    harm(clinic)
    assert clinic.request(header, url(clinic)) == [f"request: {code}"]
    assert clinic.refused() == 0


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ("Authorization: PVEAPIToken={id}:{secret}", "colon-for-equals"),
        ("PVEAPIToken={id}:{secret}", "colon-for-equals"),
        ("{id}:{secret}", "colon-for-equals"),
        ("Authorization: PVEAPIToken={name}={secret}", "token-id-incomplete"),
        ("Authorization: PVEAPIToken=svc@pve!{id}={secret}", "token-id-incomplete"),
        ("Authorization: PVEAPIToken={secret}", "token-id-incomplete"),
        ("Authorization: {id}={secret}", "scheme-wrong"),
        ("Authorization: Bearer {id}={secret}", "scheme-wrong"),
        ("Authorization: pveapitoken={id}={secret}", "scheme-wrong"),
        ("PBSAPIToken={id}:{secret}", "scheme-wrong"),
        ("Authorization: PVEAPIToken='{id}={secret}'", "header-quoted"),
        ('"PVEAPIToken={id}={secret}"', "header-quoted"),
        ("Authorization: PVEAPIToken={id}={secret} ", "header-spaced"),
        ("Authorization: PVEAPIToken={id}= {secret}", "header-spaced"),
        ("Authorization: PVEAPIToken={id}={SECRET}", "secret-misshapen"),
        ("Authorization: PVEAPIToken={id}={cut}", "secret-misshapen"),
        ("", "nothing-shown"),
        ("Cookie: PVEAuthCookie=nonsense", "ticket-refused"),
        (
            "Cookie: PVEAuthCookie=PVE:svc@pve:FFFFFFF0::x\nAuthorization: PVEAPIToken={id}={secret}",
            "cookie-beside-token",
        ),
    ],
)
def test_a_form_that_pve_does_not_take_is_named(clinic: Clinic, form: str, code: str) -> None:
    """Without asking PVE, and without a word of what was shown."""
    record = clinic.record("ci")
    full_id, secret = record["token_id"], record["token_secret"]
    clinic.watch(secret.upper())
    clinic.watch(secret[:-4])
    text = form.format(
        id=full_id, name=full_id.partition("!")[2], secret=secret, SECRET=secret.upper(), cut=secret[:-4]
    )
    assert clinic.request(text, url(clinic)) == [f"request: {code}"]
    assert clinic.refused() == 0


@pytest.mark.parametrize(
    "form",
    [
        "Authorization: PVEAPIToken={id}={secret}\r\n",
        "authorization: PVEAPIToken {id}={secret}",
        "PVEAPIToken={id}={secret}\n",
        "{id}={secret}",
        "Authorization: PVEAPIToken={quoted}={secret};junk",
    ],
)
def test_every_spelling_that_pve_takes_is_fine(clinic: Clinic, form: str) -> None:
    """As it was measured: a space after the scheme, %40 and %21, something behind a semicolon."""
    record = clinic.record("ci")
    text = form.format(id=record["token_id"], quoted=quote(record["token_id"], safe=""), secret=record["token_secret"])
    assert clinic.request(text, url(clinic)) == []


def test_a_ticket_that_was_cut_short_is_named(clinic: Clinic) -> None:
    """It is young, and PVE refuses it."""
    person(clinic)
    header = ticket(clinic, csrf=False)[:-20]
    assert clinic.request(header, url(clinic)) == ["request: ticket-refused"]


def test_a_ticket_may_lack_permissions_like_a_token(clinic: Clinic) -> None:
    """It is its user that lacks them."""
    person(clinic)
    assert clinic.request(ticket(clinic), url(clinic, "/cluster/status")) == ["request: user-lacks-role"]


def test_a_login_in_the_wrong_realm_is_named(clinic: Clinic) -> None:
    """As user and realm in one, or apart."""
    person(clinic)
    for form in ("username=person%40pam&password=x", "username=person&realm=pam&password=x"):
        assert clinic.request(form) == ["request: realm-wrong"]
    assert clinic.refused() == 0


def test_a_login_that_is_refused_may_be_meant_for_another_realm(clinic: Clinic) -> None:
    """The operator does not see who is in no group of its own: PVE's refusal comes first, the namesake explains it."""
    clinic.pve.cluster.plant(lambda state: state.without_grant("/", Holder("user", OPERATOR), "Looker"))
    person(clinic)
    clinic.pve.add_user("person@pam")
    assert clinic.request("username=person%40pam&password=x") == ["request: realm-wrong"]
    assert clinic.refused() == 1


def test_a_call_that_takes_no_token_is_named(clinic: Clinic) -> None:
    """403 whatever the token may do."""
    where = url(clinic, "/access/password")
    assert clinic.request(shown(clinic), where, method="PUT") == ["request: ticket-needed"]


def test_a_role_that_is_too_small_is_named(clinic: Clinic) -> None:
    """The token has an entry on the path, and its role lacks the privilege that the user has."""
    clinic.pve.grant("/", "PVEAuditor", user=USER)
    clinic.change_token(privsep=True)
    clinic.pve.grant("/", "PVEVMUser", token=clinic.current)
    assert clinic.request(shown(clinic), url(clinic, "/cluster/status")) == ["request: role-too-small"]


def test_a_wrong_port_is_named(clinic: Clinic) -> None:
    """Nobody listens there, while PVE answers on another port of the same host."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    results = clinic.doctor("--header", "-", "--url", f"https://127.0.0.1:{port}{API}", stdin=shown(clinic))
    assert codes_of(results) == ["request: wrong-port"]
    finding = only(only(results)["findings"])
    assert clinic.pve.nodes[0].endpoint in finding["evidence"][1]
    assert finding["commands"][-1] == f"write {clinic.pve.nodes[0].endpoint}"


def test_a_name_that_does_not_resolve_is_looked_up_without_the_port(clinic: Clinic) -> None:
    """Otherwise the command that is to be typed finds nothing whatever is mended."""
    results = clinic.doctor("--url", "https://pve.invalid:8006")
    assert only(only(results)["findings"])["commands"] == ["getent hosts pve.invalid"]


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("pve1", "pve1:8006"),
        ("pve1/api2/json", "pve1:8006"),
        ("https://pve1", "pve1:443"),
        ("http://pve1", "pve1:80"),
        ("https://[::1]/", "[::1]:443"),
        ("pve1:9", "pve1:9"),
    ],
)
def test_an_address_without_a_port_means_that_of_its_scheme_or_pves(address: str, asked: str) -> None:
    """A bare host is what clients of PVE are given, who know its port themselves."""
    assert read_url(address, "GET").address == asked


@pytest.mark.parametrize("path", ["/nodes/ü", "/nodes/a b", "/nodes/€", "/nodes/%C3%BC?x=ü y"])
def test_a_path_of_any_characters_is_asked_for_as_clients_do(clinic: Clinic, path: str) -> None:
    """They write it with percent signs; what no request line can hold was a bug, or a node that did not answer."""
    clinic.request(shown(clinic), url(clinic, path))
    assert clinic.pve.calls[-1].path.startswith("/nodes/")


@pytest.mark.parametrize("junk", ["€", "\x01", "ü"])
def test_a_header_of_any_characters_is_shown_as_it_is(clinic: Clinic, junk: str) -> None:
    """PVE does not care for what stands behind a semicolon, and clients send it in UTF-8."""
    assert clinic.request(f"{shown(clinic).strip()};{junk}", url(clinic)) == []
    person(clinic)
    assert clinic.request(ticket(clinic).replace("Cookie: ", f"Cookie: a={junk}; "), url(clinic)) == []


def test_a_header_with_a_lone_carriage_return_is_two_lines(clinic: Clinic, tmp_path: Path) -> None:
    """No header can hold one; a file may."""
    (tmp_path / "header").write_bytes(b"Cookie: a=b\r" + shown(clinic).encode())
    assert clinic.codes("--header", str(tmp_path / "header"), "--url", url(clinic)) == []
    (tmp_path / "header").write_bytes(b"Cookie: a=b\r; PVEAuthCookie=PVE:person@pve:FFFFFFF0::x")
    assert clinic.codes("--header", str(tmp_path / "header"), "--url", url(clinic)) != []


@pytest.mark.parametrize("status", [400, 403, 500, 501, 503, 596])
@pytest.mark.parametrize("path", ["/version", "/nodes/pve1/status", "/access/ticket"])
def test_a_request_that_is_answered_otherwise_is_not_called_fine(clinic: Clinic, status: int, path: str) -> None:
    """Whatever it is: a token, its path, or a password; PVE's words are the evidence."""
    person(clinic)
    header = f"username={quote(PERSON)}&password={quote(PASSWORD)}" if path == "/access/ticket" else shown(clinic)
    clinic.pve.intercept = lambda asked: AnswerInstead(status, "something odd") if asked.path == path else None
    results = clinic.doctor("--header", "-", "--url", url(clinic, path), stdin=header)
    assert codes_of(results) == ["request: answered-otherwise"]
    assert f"`{status} something odd`" in only(only(results)["findings"])["evidence"][0]


def test_a_path_that_pve_does_not_have_is_told(clinic: Clinic) -> None:
    """501: the token is well, and the consumer asks for something that is not there."""
    assert clinic.request(shown(clinic), url(clinic, "/bogus")) == ["request: answered-otherwise"]
    person(clinic)
    assert clinic.request(ticket(clinic), url(clinic, "/bogus")) == ["request: answered-otherwise"]


def test_an_empty_password_is_hidden_without_harm(clinic: Clinic) -> None:
    """What PVE said is told in its own words, for nothing of it is secret."""
    person(clinic)
    results = clinic.doctor("--header", "-", stdin=f"username={quote(PERSON)}&password=")
    finding = only(only(results)["findings"])
    assert finding["code"] == "password-wrong"
    assert "`authentication failure`" in finding["evidence"][0]


def test_an_address_alone_is_judged_too(clinic: Clinic) -> None:
    """Without anything shown: it answers, or why not."""
    assert clinic.codes("--url", url(clinic)) == []
    assert clinic.codes("--url", url(clinic, scheme="http")) == ["request: plain-http"]
    clinic.pve.nodes[0].down = True
    assert clinic.codes("--url", url(clinic)) == ["request: connection-refused"]


def test_a_certificate_that_is_not_the_pinned_one_keeps_the_secret_here(clinic: Clinic) -> None:
    """Nothing is sent to whoever answers."""
    header = shown(clinic)
    clinic.pve.renew_certificate()
    assert clinic.request(header, url(clinic)) == ["request: certificate-changed"]
    assert [call.path for call in clinic.pve.calls] == []


def test_a_node_that_does_not_know_the_token_yet_is_named(trio: Clinic) -> None:
    """Others list it, so it is not its secret."""
    trio.pve.nodes[1].quorate = False
    secret = trio.pve.add_token(USER, "new", privsep=False)
    where = f"https://{trio.pve.nodes[1].endpoint}{API}/version"
    assert trio.request(f"PVEAPIToken={USER}!new={secret}", where) == ["request: node-lag"]


def test_what_only_doing_it_would_tell_is_said(clinic: Clinic) -> None:
    """A changing call of a consumer is never made."""
    arguments = ("--header", "-", "--url", url(clinic, "/nodes/pve1/qemu"), "--method", "POST")
    unknown = only(clinic.doctor(*arguments, stdin=shown(clinic)))["unknown"]
    assert any("only doing it would tell" in it for it in unknown)


# how it is asked


def test_a_header_comes_from_a_file(clinic: Clinic) -> None:
    """Which is what a secret in an argument is not."""
    file = clinic.folder / "header"
    file.write_text(shown(clinic))
    assert clinic.codes("--header", str(file)) == []


@pytest.mark.parametrize("more", ["", "A" * 350])
def test_a_secret_in_an_argument_is_refused_and_not_repeated(clinic: Clinic, more: str) -> None:
    """Everybody on the machine can read arguments, so it is to be changed; a ticket is longer than a file's name."""
    result = clinic.call("doctor", "--header", f"PVEAPIToken={USER}!t=not-to-be-repeated{more}")
    assert result.exit_code == 2
    assert "change that secret" in " ".join(result.output.replace("│", " ").split())
    assert "not-to-be-repeated" not in result.output


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("ci", "--header", "-"), 2),
        (("--header", "/nowhere/header"), 3),
        (("--header", ""), 2),
        (("--url", ""), 3),
        (("--url", "ftp://x"), 3),
        (("--url", "https://user:word@host"), 3),
        (("--url", "https://host:99999"), 3),
        (("--url", "https://host:0"), 3),
    ],
)
def test_what_cannot_be_examined_is_refused(clinic: Clinic, arguments: tuple[str, ...], exit_code: int) -> None:
    """Names and a request at once, a file that is not there, something that is no address of the API."""
    result = clinic.call("doctor", *arguments, stdin="")
    assert result.exit_code == exit_code
    assert "user:word" not in result.output


def test_with_several_clusters_the_address_tells_which(clinic: Clinic) -> None:
    """And without one it is asked for."""
    whole = yaml.safe_load(clinic.config.read_text())
    whole["clusters"]["two"] = {**whole["clusters"]["one"], "endpoints": ["pve.invalid"]}
    clinic.config.write_text(yaml.safe_dump(whole))
    assert clinic.request(shown(clinic), url(clinic)) == []
    result = clinic.call("doctor", "--header", "-", stdin=shown(clinic))
    assert result.exit_code == 2
    assert "which cluster?" in result.output


@pytest.mark.parametrize("text", ["!" * MOST, "a!" * (MOST // 2)])
def test_reading_what_is_shown_takes_no_longer_for_what_is_odd(text: str) -> None:
    """A text may be divided at one place alone; where it could be at any, a minute went by."""
    began = process_time()
    assert read_given(text).name
    assert stored_fault(Secret(text)) is None
    assert process_time() - began < 5


def test_reading_what_is_shown_is_total() -> None:
    """Any text means something, and the name of it has no secret."""
    for text in (
        "",
        "\0",
        "=",
        ":",
        "!",
        "a: b",
        "Cookie:",
        "username=&password=",
        "PVEAuthCookie=x",
        "Authorization:",
    ):
        assert read_given(text).name


def test_a_path_of_a_file_is_no_secret(clinic: Clinic, tmp_path: Path) -> None:
    """A name with an equals sign in it may be one."""
    file = tmp_path / "a=b"
    file.write_text(shown(clinic))
    assert clinic.codes("--header", str(file)) == []
