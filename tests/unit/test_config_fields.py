"""``preset``, ``fields`` and ``canonical`` of a destination: what they come to, and how what is wrong is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rotator import registry
from rotator.config import InvalidConfigError, Problem, RecordOperator, load, schema
from rotator.model import Destination, Secret, Token, TokenId
from rotator.presets import PRESETS
from rotator.shape import CANONICAL
from tests.unit.config_world import config, problems, read

TOKEN = Token(TokenId("ci@pve", "ci-1-abcde"), Secret("0b2c"))
SECOND = "  - {{name: cd, cluster: home, user: cd@pve, destination: {{path: cd, {}}}}}\n"


def destination(folder: Path, place: str, cluster: Mapping[str, str | None] = {}) -> Destination:
    """Load a configuration with this destination."""
    return read(folder, config(cluster=cluster, credential={"destination": place})).credentials[0].primary


def shown(made: Destination, expire: datetime | None = None) -> dict[str, str]:
    """Render the token in plain text."""
    return {key: value.reveal() for key, value in made.shape.render(TOKEN, expire).items()}


def test_a_destination_shows_id_and_secret_unless_told_otherwise(tmp_path: Path) -> None:
    """As it always did."""
    assert destination(tmp_path, "{path: ci}").shape == CANONICAL
    assert destination(tmp_path, "{path: ci, canonical: true}").shape == CANONICAL


def test_the_backend_is_not_shown_what_is_the_cores(tmp_path: Path) -> None:
    """The store here takes path and slot and refuses everything else."""
    place = "{path: ci, slot: 1, preset: bpg, fields: {x: '{secret}'}, canonical: false}"
    assert destination(tmp_path, place).location == "ci"


def test_a_preset_comes_with_what_the_cluster_says(tmp_path: Path) -> None:
    """The first endpoint, and whether certificates are checked."""
    cluster = {"endpoints": "[pve2.lan, pve1.lan]", "tls": "{unsafe_skip_verification: true}"}
    assert shown(destination(tmp_path, "{path: ci, preset: bpg}", cluster)) == {
        "PROXMOX_VE_ENDPOINT": "https://pve2.lan:8006",
        "PROXMOX_VE_API_TOKEN": "ci@pve!ci-1-abcde=0b2c",
        "PROXMOX_VE_INSECURE": "true",
    }


def test_everything_can_be_filled_in(tmp_path: Path) -> None:
    """An IPv6 address keeps its brackets, as it stands in a URL."""
    fields = (
        "{a: '{cluster}', b: '{host}', c: '{port}', d: '{endpoint_url}', e: '{api_url}', "
        "f: '{verify_ssl}', g: '{insecure}', h: '{expires_at}', i: '{token}'}"
    )
    made = destination(tmp_path, f"{{path: ci, fields: {fields}}}", {"endpoints": "['[fd00::1]:443']"})
    assert shown(made, datetime(2026, 3, 1, tzinfo=UTC)) == {
        "a": "home",
        "b": "[fd00::1]",
        "c": "443",
        "d": "https://[fd00::1]:443",
        "e": "https://[fd00::1]:443/api2/json",
        "f": "true",
        "g": "false",
        "h": "2026-03-01T00:00:00Z",
        "i": "ci@pve!ci-1-abcde=0b2c",
    }


def test_fields_go_before_those_of_the_preset(tmp_path: Path) -> None:
    """One key is written otherwise, and another added; the rest is the preset's."""
    place = "{path: ci, preset: pve-exporter, fields: {PVE_VERIFY_SSL: 'false', PVE_MODULE: 'home'}}"
    assert shown(destination(tmp_path, place)) == {
        "PVE_USER": "ci@pve",
        "PVE_TOKEN_NAME": "ci-1-abcde",
        "PVE_TOKEN_VALUE": "0b2c",
        "PVE_VERIFY_SSL": "false",
        "PVE_MODULE": "home",
    }


@pytest.mark.parametrize(
    ("settings", "is_canonical"),
    [
        ("preset: bpg", False),
        ("preset: bpg, canonical: true", True),
        ("preset: bpg, canonical: false", False),
        ("fields: {x: '{secret}'}", True),
        ("fields: {x: '{name_secret}', y: '{userid}'}", False),
        ("fields: {url: '{api_url}'}", True),
        ("fields: {token_id: '{token_id}', token_secret: '{secret}', url: '{api_url}'}", False),
    ],
)
def test_the_canonical_keys_are_kept_where_they_are_needed_or_wanted(
    tmp_path: Path,
    settings: str,
    is_canonical: bool,  # noqa: FBT001 - what is expected
) -> None:
    """So that a record is always readable, and no consumer finds keys without need."""
    assert destination(tmp_path, f"{{path: ci, {settings}}}").shape.is_canonical is is_canonical


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_taken(tmp_path: Path, name: str) -> None:
    """And leaves out the canonical keys."""
    made = destination(tmp_path, f"{{path: ci, preset: {name}}}")
    assert set(shown(made)) == set(PRESETS[name].fields)


FAULTS = [
    ("preset: bgp", "preset", "no preset of that name", "did you mean 'bpg'?"),
    ("preset: 1", "preset", "not text", "in quotes"),
    ("fields: {x: '{tokn}'}", "fields.x", "no variable is called 'tokn'", "did you mean 'token'?"),
    ("fields: {x: '{secret'}", "fields.x", "a brace without its other half", "write {{ and }}"),
    ("fields: {x: '{secret!r}'}", "fields.x", "not the name of a variable in braces", "write for example {token_id}"),
    ("fields: {x: 12}", "fields.x", "not text", "in quotes"),
    ("fields: {x: {y: z}}", "fields.x", "not text", "write text"),
    ("fields: {'': '{secret}'}", "fields.", "empty", "write a value"),
    ("fields: {}", "fields", "empty", "write at least one"),
    ("fields: ['{secret}']", "fields", "not a mapping", "write keys with values"),
    ("canonical: 'yes'", "canonical", "neither true nor false", "without quotes"),
    ("canonical: false", "canonical", "no fields show the token", "as {token}"),
    ("fields: {x: '{secret}'}, canonical: false", "canonical", "cannot be read back", "take canonical: false away"),
    ("fields: {token_id: '{token_name}'}", "fields.token_id", "is needed for {token_id}", "let the fields show"),
    ("preset: bpg, fields: {token_secret: '{token}'}, canonical: true", "fields.token_secret", "needed", "something"),
]


@pytest.mark.parametrize(("settings", "where", "message", "advice"), FAULTS)
def test_what_is_wrong_is_told_at_its_line(
    tmp_path: Path, settings: str, where: str, message: str, advice: str
) -> None:
    """By its key, with what to write instead."""
    (problem,) = problems(tmp_path, config(credential={"destination": f"{{path: ci, {settings}}}"}))
    whole = f"{problem.message} {problem.advice}"
    assert problem.where == f"credentials[ci].destination{where and '.'}{where}"
    assert problem.line == 11
    assert message in problem.message or message in whole
    assert advice in problem.advice


def test_a_user_whose_name_would_need_quotes_is_told_before_a_token_is_issued(tmp_path: Path) -> None:
    """In a text; alone under a key any name is fine."""
    user = {"user": "'c\"i@pve'"}
    (problem,) = problems(tmp_path, config(credential={**user, "destination": "{path: ci, preset: pve-exporter-yml}"}))
    assert problem.message == 'the fields cannot show c"i@pve!ci-1: its userid has characters that need quotes there'
    read(tmp_path, config(credential={**user, "destination": "{path: ci, preset: pve-exporter}"}))


def test_one_fault_does_not_hide_another(tmp_path: Path) -> None:
    """Everything is told at once, over all destinations."""
    text = config(credential={"destination": "{path: ci, preset: bgp}"}, more=SECOND.format("canonical: false"))
    assert [problem.message.partition(",")[0] for problem in problems(tmp_path, text)] == [
        "no preset of that name",
        "no fields show the token",
    ]


def test_a_faulty_cluster_does_not_hide_what_is_wrong_with_a_shape(tmp_path: Path) -> None:
    """Nor is anything told that only follows from the first."""
    text = config(cluster={"endpoints": "['/']"}, credential={"destination": "{path: ci, preset: bgp}"})
    assert len(problems(tmp_path, text)) == 2
    text = config(credential={"cluster": "hme", "destination": "{path: ci, preset: pve-exporter-yml}"})
    (problem,) = problems(tmp_path, text)
    assert problem.message == "no cluster is called 'hme'"


def test_an_operators_record_may_have_a_shape(tmp_path: Path) -> None:
    """It is read the way it is written."""
    settings = read(tmp_path, config(cluster={"operator": "{path: op, preset: telmate}"}))
    operator = settings.clusters["home"].operator
    assert isinstance(operator, RecordOperator)
    assert operator.destination.shape.keys[1] == "PM_API_TOKEN_ID"


@pytest.mark.parametrize(("one", "other", "count"), [("preset: bpg", "preset: bpg", 0), ("preset: bpg", "slot: 1", 1)])
def test_an_operator_is_read_the_way_its_credential_writes_it(tmp_path: Path, one: str, other: str, count: int) -> None:
    """Else the rotation would lock itself out."""
    text = config(
        cluster={"operator": f"{{path: ci, {one}}}"},
        credential={"operator": "true", "destination": f"{{path: ci, {other}}}"},
    )
    if not count:
        read(tmp_path, text)
        return
    (problem,) = problems(tmp_path, text)
    assert problem.message == "the operator of the cluster home is read from shelf:ci with other fields"
    assert problem.where == "credentials[ci].destination"


def filed(folder: Path, place: str) -> tuple[Problem, ...]:
    """Load a configuration with this destination in a real file; returns what is wrong."""
    path = folder / "rotate.yaml"
    path.write_text(config(cluster={"operator": "{path: /r/op.json}"}, credential={"destination": place}))
    try:
        load(path, find_backend=registry.find, environ={})
    except InvalidConfigError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("place", "where", "message", "advice"),
    [
        ("path: /r/a.env, field: {a: b}", "field", "not permitted", "did you mean 'fields'? a destination"),
        ("path: /r/a.env, presets: bpg", "presets", "not permitted", "did you mean 'preset'? a destination"),
        ("path: /r/a.env, secret: bpg", "secret", "not permitted", "a destination in a file takes"),
        ("path: /r/a.env, fields: {a.b: '{token}'}", "fields.a.b", "not the name of an environment", "letters"),
        ("path: /r/a.token, preset: capmox", "preset", "holds id and secret alone", "another format"),
        ("path: /r/a.txt, format: text", "", "token_id: a file of the format text holds a.txt alone", "whole text"),
        ("path: /r/a.txt, format: text, preset: pve-exporter-yml", "preset", "holds a.txt alone", "say key"),
        ("path: /r/pve.yml, preset: pve-exporter-yml", "preset", "called like the file", "write format: text"),
        (
            "path: /r/a.txt, format: text, fields: {a.txt: 'secret={secret}'}",
            "fields",
            "no room for token_id and token_secret",
            "as {token}",
        ),
        (
            "path: /r/pve.yml, format: text, preset: pve-exporter-yml, canonical: true",
            "preset",
            "no room for token_id and token_secret",
            "take canonical: true away",
        ),
    ],
)
def test_keys_that_the_place_cannot_hold_are_told(
    tmp_path: Path, place: str, where: str, message: str, advice: str
) -> None:
    """A shape that can neither be read back nor carry the canonical keys is among them."""
    problem = filed(tmp_path, f"{{{place}}}")[0]
    assert problem.where == f"credentials[ci].destination{where and '.'}{where}"
    assert message in problem.message
    assert advice in problem.advice


@pytest.mark.parametrize(
    "place",
    [
        "path: /r/a.token",
        "path: /r/pve.yml, format: text, preset: pve-exporter-yml",
        "path: /r/exporter.yml, format: text, key: pve.yml, preset: pve-exporter-yml",
        "path: /r/header, format: text, fields: {header: '{auth_header}'}",
        "path: /r/a.env, fields: {A: '{secret}'}",
    ],
)
def test_what_the_place_can_hold_is_taken(tmp_path: Path, place: str) -> None:
    """A text that can be read back needs no other keys."""
    assert filed(tmp_path, f"{{{place}}}") == ()


def test_editors_know_the_presets_and_the_kinds() -> None:
    """The schema lists the presets, and takes any key of a text."""
    place: dict[str, Any] = schema()["$defs"]["PlacePart"]["properties"]
    assert place["preset"]["enum"] == sorted(PRESETS)
    assert place["fields"]["additionalProperties"] == {"type": "string"}
    assert place["canonical"]["type"] == "boolean"
