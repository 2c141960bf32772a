"""What must never pass into a log, whoever says it and however it is wrapped."""

from __future__ import annotations

import base64
import io
import json
import logging
import secrets
import uuid
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.errors import RefusedError
from rotator.logs.lines import Foreign, Level, Log, Style, open_log
from rotator.logs.redaction import Redaction
from rotator.model import Secret
from rotator.secrecy import HIDDEN, LONGEST, SHORTEST, Known

NOW = datetime(2026, 5, 9, 7, 30, tzinfo=UTC)
PASSWORD = 'Gr33n "light" & ünder\\water'
"""With everything that is written in another way somewhere."""
TICKET = "PVE:root@pam:66A1B2C3::" + "aGVsbG8gd29ybGQh" * 6
FORMS = (
    "PVEAPIToken=svc@pve!ci={0}",
    "Authorization: PVEAPIToken=svc@pve!ci={0}",
    "{{'Authorization': 'Bearer {0}'}}",
    '{{"Authorization": "Basic {0}"}}',
    "('Cookie', 'PVEAuthCookie={0}')",
    "b'Set-Cookie: a={0}; Path=/'",
    "X-Vault-Token: {0}",
    "CSRFPreventionToken: 66A1B2C3:{0}",
    "https://root:{0}@pve.example:8006/",
    "password={0}&x=1",
    '{{"password": "{0}"}}',
    "{{'token_secret': '{0}'}}",
    "SecretString='{0}'",
    "client_secret = {0}",
    "-----BEGIN EC PRIVATE KEY-----\n{0}\n-----END EC PRIVATE KEY-----",
)


class Spoken:
    """Whatever has a ``repr``."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"<Spoken {self.text}>"


class Mute:
    """What cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def wrapped(secret: str) -> dict[str, Any]:
    """Wrap a secret in all that a log call may be handed."""
    raw = secret.encode()
    return {
        "plain": f"it said {secret}, twice: {secret}",
        "in_bytes": raw,
        "in_a_view": memoryview(b"head " + raw),
        "in_repr": repr(secret),
        "in_bytes_repr": repr(raw),
        "in_json": json.dumps({"a": [secret]}),
        "in_a_url": f"https://pve.example/?x={quote(secret, safe='')}",
        "in_base64": f"data: {base64.b64encode(raw).decode()}",
        "inside_base64": base64.b64encode(b"user:" + raw + b" and more").decode(),
        "nested": {"a": [{"b": (secret, {secret: 1})}, {secret}]},
        "error": ValueError(secret),
        "ours": RefusedError(f"refused {secret}"),
        "object": Spoken(secret),
        "secret": Secret(secret),
    }


def said(tell: Callable[[Log], None], *, as_json: bool = True) -> str:
    """Return what is written of something."""
    stream = io.StringIO()
    with open_log(stream, Style(as_json=as_json, level=Level.DEBUG), lambda: NOW) as log:
        tell(log)
    return stream.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("value", [str(uuid.UUID(int=2**127 + 5)), PASSWORD, "correct-horse-battery", TICKET])
def test_a_secret_does_not_pass_however_it_is_wrapped(value: str, as_json: bool) -> None:  # noqa: FBT001 - pytest's
    """In message, in values, in keys, nested, as bytes, escaped, in base64, in an exception."""
    Secret(value)
    text = said(lambda log: log.tell("info", f"got {value}", **wrapped(value)), as_json=as_json)
    for form in (value, json.dumps(value)[1:-1], repr(value)[1:-1], repr(value.encode())[2:-1], quote(value, safe="")):
        assert form not in text
    assert base64.b64encode(value.encode()).decode() not in text
    assert base64.b64encode(value.encode()).decode().rstrip("=")[:-1] not in text
    assert HIDDEN in text


@pytest.mark.parametrize("form", FORMS)
def test_what_has_the_form_of_a_secret_does_not_pass_though_nobody_knew_it(form: str) -> None:
    """Headers, cookies, addresses, keys, parameters: nobody ever made a ``Secret`` of this one."""
    unknown = "zK" + secrets.token_urlsafe(24)
    text = said(lambda log: log.tell("warning", form.format(unknown), more=form.format(unknown)))
    assert unknown not in text
    assert text.count(HIDDEN) >= 2


def test_what_stands_under_the_name_of_a_secret_does_not_pass() -> None:
    """Whatever it looks like, at any depth."""
    found = Redaction().clean({"a": {"Password": "x", "token_secret": ["y"], "data": {"value": 5}, "user": "z"}})
    assert found == {"a": {"Password": HIDDEN, "token_secret": HIDDEN, "data": {"value": HIDDEN}, "user": "z"}}


def test_what_a_traceback_says_does_not_pass() -> None:
    """Neither the words of an exception nor those of the ones that led to it; its types and the way there do."""
    unknown = f"q{secrets.token_hex(4)}"

    def fail() -> None:
        try:
            int(unknown)
        except ValueError as error:
            raise RuntimeError(f"with {unknown}") from error

    def tell(log: Log) -> None:
        try:
            fail()
        except RuntimeError as error:
            log.caught(error)
            logging.getLogger("urllib3.pool").exception("it failed")

    for as_json in (True, False):
        text = said(tell, as_json=as_json)
        assert unknown not in text
        assert text.count("ValueError, called from:") == 2
        assert "in fail" in text


def test_what_a_library_says_goes_the_same_way() -> None:
    """Warnings and worse, of those that may speak; of Python's warnings module, too."""
    value = f"lib-{secrets.token_urlsafe(12)}"
    Secret(value)

    def tell(log: Log) -> None:
        logging.getLogger("apscheduler.executors").error("run of %s failed", value)
        logging.getLogger("urllib3.connectionpool").warning("broken %s", value)
        Foreign(log).emit(logging.LogRecord("urllib3", logging.WARNING, "", 1, "%s %s", (value,), None))
        logging.getLogger("urllib3.connectionpool").info("details")
        logging.getLogger("stranger").error("anything")
        log.speakers |= {"acme"}
        logging.getLogger("acme.store").critical("the disk is full")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(f"old {value}", UserWarning, stacklevel=1)

    lines = [json.loads(line) for line in said(tell).splitlines()]
    assert [it.get("logger") for it in lines] == [
        "apscheduler.executors",
        "urllib3.connectionpool",
        "urllib3",
        "acme.store",
        "py.warnings",
    ]
    assert [it["level"] for it in lines] == ["error", "warning", "warning", "error", "warning"]
    assert value not in str(lines)


@pytest.mark.parametrize(
    "name", ["botocore.endpoint", "botocore.parsers", "kubernetes.client.rest", "proxmoxer.core", "boto3.resources"]
)
def test_a_logger_that_could_carry_secrets_is_shut_whatever_may_speak(name: str) -> None:
    """At every level, though its package were allowed to speak and its level set to the lowest."""
    import rotator.proxmox  # noqa: PLC0415 - shuts its own
    import rotator.service.lease  # noqa: F401, PLC0415 - shuts its own
    import rotator_backends.aws_client  # noqa: F401, PLC0415 - shuts its own

    logger = logging.getLogger(name)

    def tell(log: Log) -> None:
        log.speakers |= {name.partition(".")[0]}
        for level in (logging.DEBUG, logging.WARNING, logging.CRITICAL):
            logger.log(level, "a body with a secret in it")

    assert said(tell) == ""


def test_what_people_have_to_read_is_shown() -> None:
    """Ids of tokens, names and places of the configuration, though records have them beside the secret."""
    values = Known()
    for value in (
        "svc@pve!ci-1-abcde",
        "pve1.example.com",
        "https://pve1.example.com:8006",
        "production",
        "svc-user@pve",
    ):
        values.learn(value)
    values.spare(lambda: {"https://pve1.example.com:8006", "pve1.example.com", "svc-user@pve"})
    redaction = Redaction(values)
    text = "svc@pve!ci-1-abcde of svc-user@pve at https://pve1.example.com:8006 (pve1.example.com) is still published"
    assert redaction.text(text) == text
    assert redaction.fields({"cluster": "production", "message": "in production"}) == {
        "cluster": "production",
        "message": f"in {HIDDEN}",
    }


def test_a_secret_that_begins_within_a_word_that_is_spared_is_hidden() -> None:
    """The word alone is shown; what goes on behind it is not, though it was found later than the word."""
    values = Known()
    for value in ("https://pve1.example.com:8006", "pve1.example.com:8006/?key=hunter2", "example.com"):
        values.learn(value)
    values.spare(lambda: {"https://pve1.example.com:8006"})
    told = values.hide("https://pve1.example.com:8006 refuses https://pve1.example.com:8006/?key=hunter2")
    assert told == f"https://pve1.example.com:8006 refuses https://{HIDDEN}"


def test_the_name_of_a_token_is_shown_in_its_id_alone() -> None:
    """Consumers want it under a key of its own; what is no whole name, or stands elsewhere, is hidden."""
    values = Known()
    for value in ("ci-8-k3f9q", "ci-8-k3f9q=the-secret-itself", "hunter2-hunter2"):
        values.learn(value)
    assert values.hide("svc@pve!ci-8-k3f9q is still published") == "svc@pve!ci-8-k3f9q is still published"
    assert values.hide("svc@pve!ci-8-k3f9q=the-secret-itself") == f"svc@pve!{HIDDEN}"
    for text in ("password hunter2-hunter2", "go!hunter2-hunter2", "@pve!hunter2-hunter2", "a@pve hunter2-hunter2"):
        assert "hunter2" not in values.hide(text)


def test_what_cannot_be_shown_is_told_by_its_type() -> None:
    """A log call raises nothing; what is nested too deep is not looked at."""
    deep: list[Any] = []
    deep.append(deep)
    found = Redaction().clean({"mute": Mute(), "deep": deep, "few": True, "none": None})
    assert (found["mute"], found["few"], found["none"]) == ("<Mute>", True, None)
    assert HIDDEN in str(found["deep"])


@given(st.text(min_size=SHORTEST, max_size=60), st.text(max_size=30), st.text(max_size=30))
def test_a_known_value_is_found_anywhere(value: str, before: str, after: str) -> None:
    """By its hashes alone, at any place of a text; blanks around it are no part of it."""
    known = Known()
    known.learn(value)
    bare = value.strip()
    if len(bare) >= SHORTEST and "@" not in bare and "-" not in bare and not before.endswith("!"):
        assert bare not in known.hide(before + value + after).replace(HIDDEN, "\0")
        assert HIDDEN in known.hide(before + value + after)


@given(st.text(max_size=200))
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    """Whatever it is."""
    known = Known()
    known.learn("a value that nobody draws by chance")
    assert known.hide(text) == text


def test_old_values_are_forgotten_and_new_ones_are_not() -> None:
    """The number is bounded; what is learnt again stays."""
    known = Known(most=100)
    for number in range(1000):
        known.learn("everlasting")
        known.learn(f"{number:08d}-value")
    assert "00000999-value" not in known.hide("00000999-value everlasting")
    assert "everlasting" not in known.hide("everlasting")
    assert known.hide("00000001-value") == "00000001-value"
    assert sum(map(len, known._generations)) <= 202  # noqa: SLF001 - that it is bounded is the point


def test_values_that_begin_alike_are_bounded_too() -> None:
    """As what consumers read in the words of a header: one for each rotation, in a service that runs for years."""
    known = Known(most=100)
    values = [f"PVEAPIToken=svc@pve!ci-{number}-abcde=a/b" for number in range(1000)]
    for value in values:
        known.learn(value)
    assert known.hide(values[-1]) == HIDDEN
    assert all(known.hide(value) == HIDDEN for value in values[-100:])
    assert all(known.hide(value) == value for value in values[:800])
    for value in values[-100:] * 3:
        known.learn(value)
    assert all(known.hide(value) == HIDDEN for value in values[-100:])


@pytest.mark.parametrize(
    "value", ["short", "x" * (LONGEST + 1), "svc@pve!ci-1-abcde", "2026-05-09T07:30:00Z", "  a  ", '{"data": []}']
)
def test_what_is_no_secret_by_itself_is_not_learnt(value: str) -> None:
    """Too short, too long, a whole answer of PVE, or something that people read."""
    known = Known()
    known.learn(value)
    assert known.hide(value) == value
