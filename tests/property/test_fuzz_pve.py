"""Whatever PVE, or what stands in its place, answers: a value of its kind or one of our errors, and no secret."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotator import proxmox_rows as rows
from rotator.errors import RotatorError, UnauthenticatedError
from rotator.model import Secret, TokenId, TokenState, UserState
from rotator.proxmox_answer import Call, errors_by_parameter, read, refusal, sentence, silence
from rotator.proxmox_clock import PveClock
from rotator.proxmox_login import Shown, factors

ID = TokenId("ci@pve", "ci-1-aaaaa")
KEYS = st.sampled_from(
    [
        "data",
        "message",
        "errors",
        "userid",
        "tokens",
        "tokenid",
        "expire",
        "enable",
        "privsep",
        "comment",
        "groups",
        "path",
        "roleid",
        "ugid",
        "type",
        "propagate",
        "quorate",
        "value",
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["ci@pve", "0", "1", "user", "cluster", "/", 10**20, -(10**20), 253402300800, "1e9", float("inf")]),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=5),
    max_leaves=12,
)
TOKEN_ROWS = st.fixed_dictionaries(
    {"tokenid": LEAVES}, optional={"expire": LEAVES, "privsep": LEAVES, "comment": LEAVES | JSON}
)
USER_ROWS = st.fixed_dictionaries(
    {"userid": LEAVES | st.just("ci@pve")},
    optional={"enable": LEAVES, "expire": LEAVES, "groups": LEAVES, "tokens": st.lists(TOKEN_ROWS, max_size=2) | JSON},
)
WORDS = st.sampled_from(
    [
        "no such token",
        "Token already exists",
        "got lock timeout",
        "no quorum",
        "Permission check failed (/x, A|B)",
        "\n",
    ]
)
TEXTS = st.text(max_size=20) | st.lists(WORDS | st.text(max_size=4), max_size=4).map("".join)
ANSWERS = TEXTS | JSON.map(json.dumps)
CALLS = st.builds(
    Call,
    st.just("home"),
    st.just("pve1:8006"),
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    st.sampled_from(["/version", "/access/ticket", "/access/users/ci@pve/token", "/access/acl"]),
    st.just("the operator"),
)


def is_token(found: TokenState) -> bool:
    """Whether everything in it is of its kind."""
    texts = (found.id.userid, found.id.name, found.comment)
    return all(isinstance(it, str) for it in texts) and isinstance(found.expire, datetime | None)


@given(row=USER_ROWS | JSON)
@example(row={"userid": "ci@pve", "expire": -(10**20)})
@example(row={"userid": "ci@pve", "expire": -67_768_040_609_740_801})
@example(row={"userid": "ci@pve", "enable": float("inf")})
@example(row={"userid": "ci@pve", "tokens": [{"tokenid": 5, "comment": 5}]})
def test_a_row_of_users_is_a_user_or_misshapen(row: Any) -> None:  # noqa: ANN401 - JSON
    """And a user is made of texts, times and tokens, on which everything else relies."""
    try:
        found = rows.user(row)
    except rows.MISSHAPEN:
        return
    assert isinstance(found, UserState)
    assert all(isinstance(it, str) for it in (found.userid, *found.groups))
    assert isinstance(found.expire, datetime | None)
    assert all(map(is_token, found.tokens))


@given(row=TOKEN_ROWS | JSON)
def test_a_row_of_a_token_is_a_token_or_misshapen(row: Any) -> None:  # noqa: ANN401 - JSON
    """Its end is a time or none."""
    try:
        found = rows.token(ID, row)
    except rows.MISSHAPEN:
        return
    assert is_token(found)


@pytest.mark.parametrize("reader", [rows.grant, rows.entry, rows.permissions, rows.is_quorate])
@given(answer=JSON | st.lists(JSON, max_size=2))
@example(answer={"path": "/", "roleid": 5})
@example(answer={"/": {"A": float("inf")}})
def test_any_other_answer_is_understood_or_misshapen(reader: Any, answer: Any) -> None:  # noqa: ANN401 - JSON
    """Grants, entries, permissions and quorum alike; what is understood can be sorted."""
    try:
        found = reader(answer)
    except rows.MISSHAPEN:
        return
    if reader in {rows.grant, rows.entry}:
        assert sorted([found, found])


@given(content=ANSWERS)
@example(content="[" * 100_000)
@example(content='{"data": 1' + "0" * 5000 + "}")
def test_a_good_answer_has_data_or_is_none(content: str) -> None:
    """What is no answer of PVE's is told without what it says."""
    try:
        read(content)
    except ValueError as error:
        assert str(error) == "not an answer of PVE's API"  # noqa: PT017 - either is right


@given(asked=JSON.map(json.dumps) | TEXTS)
@example(asked="[" * 100_000)
def test_a_challenge_tells_kinds_of_second_factors_or_none(asked: str) -> None:
    """What it says beside them is PVE's business."""
    assert all(isinstance(it, str) for it in factors(f"PVE:!tfa!{quote(asked)}:MORE"))


@given(call=CALLS, status=st.integers(400, 599) | st.just(200), reason=TEXTS, content=ANSWERS)
@example(
    call=Call("home", "pve1:8006", "GET", "/version", "x"),
    status=400,
    reason="",
    content='{"errors": {"\\u001f": null}}',
)
def test_any_refusal_becomes_one_of_our_errors(call: Call, status: int, reason: str, content: str) -> None:
    """In one line that can be printed, and not without end; only a change may have had an effect."""
    said = sentence(reason, content)
    error = refusal(call, status, said, errors_by_parameter(content))

    assert isinstance(error, RotatorError)
    assert isinstance(silence(call, said), RotatorError)
    assert error.message.isprintable()
    assert len(said) <= 400
    assert isinstance(error, UnauthenticatedError) == (status == 401)


@given(secret=st.text("abc\\\"/%3A!:'+=", min_size=4), around=st.text(" x.\n"))
def test_an_echo_of_what_was_shown_is_hidden(secret: str, around: str) -> None:
    """A proxy may send back what it got, in whatever form; nobody reads it in a message."""
    as_whom = Shown("the operator", {}, Secret(secret))
    echo = f"{around}{secret}{around}{unquote(secret)}"
    content = as_whom.hide(json.dumps({"message": echo, "errors": {"x": secret}}))

    for told in (as_whom.hide(echo), sentence("", content), errors_by_parameter(content)["x"]):
        assert secret not in told
        assert unquote(secret) not in told


@given(
    dates=st.lists(
        st.none()
        | st.text(max_size=40)
        | st.sampled_from(
            [
                "Sun, 06 Nov 1994 08:49:37 GMT",
                "Sat, 01 Jan 0001 00:00:00 +9999",
                "Fri, 31 Dec 9999 23:59:59 GMT",
                "Fri, 31 Dec 9999 23:59:59 -9900",
                "Thu, 01 Jan 2026 00:00:00 -0000",
                "1 Jan 99999 00:00:00 +99999999999",
            ]
        ),
        max_size=4,
    )
)
def test_any_date_is_a_time_to_reckon_with_or_none(dates: list[str | None]) -> None:
    """A clock that no interval can be added to is none."""
    clock = PveClock(lambda: 5.0)
    for date in dates:
        clock.saw(date, sent=4.0)
    now = clock.now()
    assert now is None or now + timedelta(days=36500) > now
