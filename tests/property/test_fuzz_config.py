"""Whatever stands in the configuration, the answer is settings or a list of problems; the same for each word in it."""

from __future__ import annotations

import json
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from rotator.config import InvalidConfigError, load, schema
from rotator.durations import parse_duration, parse_positive_duration, spell_duration
from rotator.faults import InvalidValueError
from rotator.model import Window
from rotator.template import Template
from rotator.windows import is_open, next_opening, parse_cron, parse_timezone
from tests.unit.config_world import config, find, read

SCHEMA = schema()
KEYS = st.sampled_from(
    sorted(
        {key for place in [SCHEMA, *SCHEMA["$defs"].values()] for key in place["properties"]} | {"x-a", "home", "path"}
    )
)
VALID = yaml.safe_load(
    config(
        {
            "defaults": "{every: 9d, overlap: 1h, probes: [/a], strategy: fresh}",
            "backends": "{a: {type: shelf, room: b}}",
        },
        {
            "operator": "{user: a@pve, password: {backend: a, path: ticket}, totp: {backend: a, path: totp, key: k}}",
            "tls": "{unsafe_skip_verification: true}",
            "timeouts": "{connect: 1s}",
        },
        {
            "windows": "[{cron: '0 2 * * *', duration: 1h, timezone: UTC}]",
            "grants": "[{path: /, role: A, propagate: false}]",
            "lifetime": "99d",
            "base": "ci",
            "adopt": "true",
        },
    )
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.sampled_from(
        ["home", "ci", "ci@pve", "30d", "0 2 * * *", "fresh", "/", "shelf", "file", "a:1", "regenerate", "9"]
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(), inner, max_size=4),
    max_leaves=6,
)
WHOLE = st.fixed_dictionaries(
    {},
    optional={
        "version": st.just(1) | TREES,
        "owner": st.just("x") | TREES,
        "defaults": TREES,
        "backends": st.dictionaries(KEYS, TREES, max_size=2) | TREES,
        "clusters": st.dictionaries(KEYS, st.dictionaries(KEYS, TREES), max_size=2) | TREES,
        "credentials": st.lists(st.dictionaries(KEYS, TREES), max_size=3) | TREES,
    },
)


def _only_problems(text: str | bytes, folder: Path) -> None:
    path = folder / "rotate.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        load(path, find_backend=find, environ={})
    except InvalidConfigError as error:
        assert error.problems  # noqa: PT017 - either it is valid, or it says why not
        assert all(it.message for it in error.problems)  # noqa: PT017 - the same


@given(text=st.text(alphabet=st.sampled_from("ab:-?[]{},&*!|>'\"%@`#~<=. \n\t\r\x85\u2028\ud800x1")))
@example(text="? ")
@example(text="%YAML 9.9\n---\na")
@example(text="&a : *a")
def test_any_text_is_valid_or_told_why_not(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Never another exception, whatever stands in the file."""
    _only_problems(text, tmp_path_factory.getbasetemp())


@given(content=st.binary())
def test_any_bytes_are_valid_or_told_why_not(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever file was named by mistake."""
    _only_problems(content, tmp_path_factory.getbasetemp())


@given(
    text=st.text() | st.lists(st.sampled_from([*"*/,-0123456789wdhms @LW#", "mon", "jan"]), max_size=12).map("".join)
)
def test_any_word_is_a_duration_a_window_a_template_or_is_refused_with_advice(text: str) -> None:
    """Nothing else comes out of reading it, and a duration that is read is spelled so that it is read again."""
    for parse in (parse_duration, parse_positive_duration, parse_cron, parse_timezone, Template.parse):
        try:
            parse(text)
        except InvalidValueError as error:
            assert error.message  # noqa: PT017 - either is right
    with suppress(InvalidValueError):
        duration = parse_duration(text)
        assert parse_duration(spell_duration(duration)) == duration


@given(
    cron=st.lists(
        st.sampled_from(["*", "0", "59", "*/7", "1-5", "29", "2", "L", "mon#2", "7"]), min_size=5, max_size=5
    ),
    zone=st.sampled_from(["UTC", "Europe/Vienna", "America/Caracas", "Pacific/Apia"]),
    now=st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - above
)
def test_any_window_that_is_accepted_opens_or_never_does(cron: list[str], zone: str, now: datetime) -> None:
    """At no time before that which was asked about, and then it is open."""
    try:
        window = Window(parse_cron(" ".join(cron)), timedelta(hours=1), zone)
    except InvalidValueError:
        return
    opening = next_opening([window], now)
    assert opening is None or (opening >= now and is_open(window, opening))


@given(data=WHOLE)
@example(data={"credentials": [{"name": "", "base": ""}]})
@example(data={"clusters": {"home": {"operator": {"token_id": 1, "backend": []}}}})
def test_any_data_is_valid_or_told_why_not(data: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Never another exception, whatever kind of value stands under whatever key."""
    _only_problems(json.dumps(data, ensure_ascii=False), tmp_path_factory.getbasetemp())


def _ways(data: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 - a tree
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [way, *(found for step, inner in steps for found in _ways(inner, (*way, step)))]


@given(way=st.sampled_from([way for way in _ways(VALID) if way]), value=TREES)
def test_any_value_in_any_place_is_valid_or_told_why_not(
    way: tuple[Any, ...], value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A valid file with one value replaced by anything: what depends on that value copes with it."""
    data = deepcopy(VALID)
    place = data
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = value
    _only_problems(json.dumps(data, ensure_ascii=False), tmp_path_factory.getbasetemp())


def test_what_the_mutations_start_from_is_valid(tmp_path: Path) -> None:
    """Else the test above would test little."""
    assert read(tmp_path, yaml.safe_dump(VALID)).credentials[0].adopt
