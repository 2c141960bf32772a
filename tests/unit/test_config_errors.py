"""Each thing that can be wrong in a configuration is told at its line, by its key, with what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rotator.config import InvalidConfigError, load
from rotator.errors import ExitCode
from tests.unit.config_world import Shelf, config, find, problems, read

SECOND = "  - {name: cd, cluster: home, user: cd@pve, destination: {path: cd}}\n"
GIVEN_OPERATOR = "{token_id: rotator@pve!op, token_secret: {env: OPERATOR}}"

VALUES = [
    ("top", "version", "2", "version", "not one of the words", "write 1"),
    ("top", "version", "'1'", "version", "not one of the words", "write 1"),
    ("top", "owner", "Home Lab", "owner", "not a name", "for example home-lab"),
    ("top", "owner", "12", "owner", "not text", "in quotes"),
    ("top", "owner", f"{'a' * 33}", "owner", "not a name", "32 at most"),
    ("top", "owner", "[a]", "owner", "not text", "write text"),
    ("top", "ownr", "x", "", "unknown key 'ownr'", "did you mean 'owner'?"),
    ("top", "defaults", "{every: 30d, evry: 1d}", "defaults", "unknown key 'evry'", "did you mean 'every'?"),
    ("top", "defaults", "[]", "defaults", "not a mapping", "write keys with values"),
    ("top", "defaults", "{overlap: 31d}", "defaults.overlap", "longer than every (30d)", "write overlap: 30d or less"),
    ("top", "defaults", "{windows: []}", "defaults.windows", "empty", "write at least one"),
    ("top", "backends", "{Vault: {type: shelf}}", "backends.Vault", "not a name", "for example vault"),
    ("top", "backends", "{vault: {}}", "backends.vault.type", "missing", "The kind of store"),
    ("top", "backends", "{vault: {type: shelv}}", "backends.vault.type", "no backend of the name 'shelv'", "'shelf'?"),
    ("top", "backends", "{vault: {type: shelf, room: 1}}", "backends.vault.room", "must be text", "a shelf takes room"),
    ("top", "backends", "{file: {type: shelf}}", "backends.file.type", "another type", "give it another name"),
    ("cluster", "endpoints", "[]", "clusters.home.endpoints", "empty", "write at least one"),
    ("cluster", "endpoints", "pve1.lan", "clusters.home.endpoints", "not a list", "[a, b]"),
    ("cluster", "endpoints", "[https://pve1.lan/]", "clusters.home.endpoints[0]", "a URL", "write pve1.lan:8006"),
    ("cluster", "endpoints", "[a, 'b:8006/api2/json']", "clusters.home.endpoints[1]", "a path", "write b:8006"),
    ("cluster", "endpoints", "['a:0']", "clusters.home.endpoints[0]", "not a host", "write host, host:port"),
    ("cluster", "endpoints", "['a:65536']", "clusters.home.endpoints[0]", "not a host", "the port is 8006"),
    ("cluster", "endpoints", "['-a']", "clusters.home.endpoints[0]", "not a host", "write host"),
    ("cluster", "endpoints", "[10.0.0.256]", "clusters.home.endpoints[0]", "not a host", "write host"),
    ("cluster", "endpoints", "['[fe80::x]']", "clusters.home.endpoints[0]", "not a host", "write host"),
    ("cluster", "endpoints", "['fe80::1']", "clusters.home.endpoints[0]", "without brackets", '"[fe80::1]:8006"'),
    ("cluster", "endpoints", "[a, 'A.:8006']", "clusters.home.endpoints[1]", "same endpoint twice", "keep one"),
    ("cluster", "tls", "{ca: /nowhere.pem}", "clusters.home.tls.ca", "cannot be read", "authority's PEM"),
    ("cluster", "tls", "{ca: relative.pem}", "clusters.home.tls.ca", "not the absolute path", "from / on"),
    ("cluster", "tls", "{fingerprint: 'AB:CD'}", "clusters.home.tls.fingerprint", "not a SHA-256", "64 hex digits"),
    ("cluster", "tls", "{unsafe_skip_verification: false}", "clusters.home.tls", "says nothing", "take tls away"),
    (
        "cluster",
        "tls",
        "{insecure: true}",
        "clusters.home.tls",
        "unknown key 'insecure'",
        "'unsafe_skip_verification'?",
    ),
    ("cluster", "timeouts", "{connect: 0s}", "clusters.home.timeouts.connect", "nothing", "write a longer one"),
    ("cluster", "timeouts", "{read: 35}", "clusters.home.timeouts.read", "without a unit", "35d for days"),
    ("cluster", "operator", "root@pam", "clusters.home.operator", "not an operator", "{user: ..., password: ...}"),
    ("cluster", "operator", "{}", "clusters.home.operator", "not an operator", "{backend: ...}"),
    ("cluster", "operator", "{backend: vlt, path: a}", "clusters.home.operator.backend", "no such backend", "file"),
    ("cluster", "operator", "{path: 1}", "clusters.home.operator.path", "must be text", "write path: name"),
    (
        "cluster",
        "operator",
        "{token_id: a@pve!op}",
        "clusters.home.operator.token_secret",
        "missing",
        "Where its secret",
    ),
    ("credential", "name", "CI", "credentials[0].name", "not a name", "for example ci"),
    ("credential", "name", "3d", "credentials[3d].name", "begin with a letter", "add base: t-3d"),
    ("credential", "cluster", "hom", "credentials[ci].cluster", "no cluster is called 'hom'", "did you mean 'home'?"),
    ("credential", "user", "ci", "credentials[ci].user", "without its realm", "write ci@pve or ci@pam"),
    ("credential", "user", "a b@pve", "credentials[ci].user", "not a PVE user", "write name@realm"),
    ("credential", "user", "ci@pve!x", "credentials[ci].user", "a token id", "before the !"),
    ("credential", "base", "8ci", "credentials[ci].base", "begin with a letter", "write t-8ci"),
    ("credential", "base", "a b", "credentials[ci].base", "not the beginning", "write a letter"),
    ("credential", "base", "a" * 65, "credentials[ci].base", "too long", "64 characters"),
    ("credential", "every", "30", "credentials[ci].every", "without a unit", "write 30d for days or 30h for hours"),
    ("credential", "every", "'30'", "credentials[ci].every", "without a unit", "write 30d"),
    ("credential", "every", "P30D", "credentials[ci].every", "not a duration", "write whole numbers"),
    ("credential", "every", "0s", "credentials[ci].every", "nothing", "write a longer one"),
    ("credential", "every", "3651d", "credentials[ci].every", "longer than ten years", "3650d"),
    (
        "credential",
        "every",
        "12h",
        "credentials[ci].every",
        "the overlap (1d) is longer than every (12h)",
        "12h or less",
    ),
    ("credential", "overlap", "31d", "credentials[ci].overlap", "(31d) is longer than every (30d)", "30d or less"),
    ("credential", "lifetime", "30d", "credentials[ci].lifetime", "shorter than every + overlap", "write 31d or more"),
    ("credential", "in_flight", "true", "credentials[ci].in_flight", "not a duration", "for example 90s"),
    ("credential", "privsep", "'no'", "credentials[ci].privsep", "neither true nor false", "without quotes"),
    ("credential", "privsep", "no", "credentials[ci].privsep", "neither true nor false", "write true or false"),
    ("credential", "adopt", "1", "credentials[ci].adopt", "neither true nor false", "write true or false"),
    ("credential", "grants", "[]", "credentials[ci].grants", "empty", "take the key away"),
    ("credential", "grants", "{path: /}", "credentials[ci].grants", "not a list", "after -"),
    ("credential", "grants", "[{path: /vms}]", "credentials[ci].grants[0].role", "missing", "The role"),
    ("credential", "grants", "[{path: vms, role: A}]", "credentials[ci].grants[0].path", "begins with /", "/vms"),
    (
        "credential",
        "grants",
        "[{path: /vms/, role: A}]",
        "credentials[ci].grants[0].path",
        "slash at the end",
        "without",
    ),
    ("credential", "grants", "[{path: //vms, role: A}]", "credentials[ci].grants[0].path", "not a path", "/vms/100"),
    ("credential", "grants", "[{path: /vm/100, role: A}]", "credentials[ci].grants[0].path", "PVE knows", "/vms/100"),
    ("credential", "grants", "[{path: /, role: a b}]", "credentials[ci].grants[0].role", "not the name", "PVEVMAdmin"),
    ("credential", "destination", "{}", "credentials[ci].destination", "must be text", "write path: name"),
    ("credential", "destination", "/x", "credentials[ci].destination", "not a mapping", "write keys"),
    ("credential", "probes", "[nodes]", "credentials[ci].probes[0]", "begins with /", "write"),
    ("credential", "probes", "[/api2/json/nodes]", "credentials[ci].probes[0]", "without /api2/json", "/nodes"),
    ("credential", "probes", "[/a/../b]", "credentials[ci].probes[0]", "not a path of PVE's API", "/nodes"),
    ("credential", "probes", "[/a, /b, /a]", "credentials[ci].probes[2]", "the same probe twice", "keep one"),
    ("credential", "strategy", "slots", "credentials[ci].strategy", "not one of the words", "'fresh' or 'regenerate'"),
    ("credential", "intervall", "1d", "credentials[ci]", "unknown key 'intervall'", "did you mean 'every'?"),
    ("credential", "zzz", "1d", "credentials[ci]", "unknown key 'zzz'", "there is adopt, base, cluster"),
    ("credential", "lifetime", "", "credentials[0].lifetime", "has no value", "write one"),
    ("credential", "user", "", "credentials[0].user", "has no value", "write one"),
    ("credential", "operator", "true", "credentials[ci].operator", "is read from shelf:op", "name one record"),
]
WINDOWS = [
    ("{cron: '0 2 * *', duration: 1h}", "cron", "not a cron expression of five fields", '"0 2 * * *"'),
    ("{cron: '* * * * * *', duration: 1h}", "cron", "not a cron expression of five fields", "minute, hour"),
    ("{cron: '0 25 * * *', duration: 1h}", "cron", "not a cron expression: bad hour", "minute, hour"),
    ("{cron: '0 0 31 2 *', duration: 1h}", "cron", "never matches any day", "correct the day"),
    ("{cron: '0 0 * 2 1#5', duration: 8d}", "duration", "longer than a week", "write 7d"),
    ("{cron: '0 2 * * *', duration: 0s}", "duration", "nothing", "write a longer one"),
    ("{cron: '0 2 * * *'}", "duration", "missing", "How long it stays open"),
    ("{cron: '0 2 * * *', duration: 1h, timezone: Europe/Viena}", "timezone", "not a time zone", "'Europe/Vienna'?"),
]


def line_of(text: str, part: str) -> int:
    """Return the number of the one line that this stands in."""
    lines = [number for number, line in enumerate(text.splitlines(), 1) if part in line]
    assert len(lines) == 1, (part, lines)
    return lines[0]


@pytest.mark.parametrize(("part", "key", "value", "where", "message", "advice"), VALUES)
def test_a_wrong_value_is_told_at_its_line(  # noqa: PLR0917 - a table
    tmp_path: Path, part: str, key: str, value: str, where: str, message: str, advice: str
) -> None:
    """One wrong value gives one problem: its line, its key, what is wrong, what to write."""
    text = config(**{part: {key: value}})  # type: ignore[arg-type] # the table's names are the arguments'
    (problem,) = problems(tmp_path, text)
    assert problem.line == line_of(text, f"{key}: {value}")
    assert problem.where == where
    assert message in problem.message
    assert advice in problem.advice


@pytest.mark.parametrize(("value", "key", "message", "advice"), WINDOWS)
def test_a_wrong_window_is_told_at_its_line(tmp_path: Path, value: str, key: str, message: str, advice: str) -> None:
    """One wrong key of a window gives one problem."""
    text = config(credential={"windows": f"[{value}]"})
    (problem,) = problems(tmp_path, text)
    assert problem.line == line_of(text, "windows:")
    assert problem.where == f"credentials[ci].windows[0].{key}"
    assert message in problem.message
    assert advice in problem.advice


@pytest.mark.parametrize("key", ["version", "owner", "clusters", "credentials"])
def test_a_missing_section_is_told_with_what_it_is(tmp_path: Path, key: str) -> None:
    """What is missing has no line of its own: the file's first, and what the schema says of it."""
    lines = {"version: 1": "version", "owner: homelab": "owner"}
    kept = "".join(f"{line}\n" for line, name in lines.items() if name != key)
    cluster = "clusters: {home: {endpoints: [a], operator: {path: op}}}\n"
    credential = "credentials: [{name: ci, cluster: home, user: ci@pve, destination: {path: ci}}]\n"
    text = kept + (cluster if key != "clusters" else "") + (credential if key != "credentials" else "")
    found = [problem for problem in problems(tmp_path, text) if problem.message == "missing"]
    assert [(problem.where, problem.line) for problem in found] == [(key, 1)]
    assert found[0].advice


@pytest.mark.parametrize("key", ["name", "cluster", "user"])
def test_a_missing_key_is_told_where_its_credential_begins(tmp_path: Path, key: str) -> None:
    """The line is the credential's."""
    text = config(credential={key: None})
    (problem,) = problems(tmp_path, text)
    assert problem.message == "missing"
    assert problem.where.endswith(f"].{key}")
    assert problem.line == text.splitlines().index("credentials:") + 2


def test_a_credential_without_destination_is_told(tmp_path: Path) -> None:
    """Neither of the two keys is required by itself, one of them is."""
    (problem,) = problems(tmp_path, config(credential={"destination": None}))
    assert (problem.where, problem.message) == ("credentials[ci]", "no destination")
    assert "add destination:" in problem.advice


def test_both_ways_to_say_where_a_record_goes_exclude_each_other(tmp_path: Path) -> None:
    """Which one would be the primary is not guessed."""
    text = config(credential={"destinations": "[{path: x}]"})
    (problem,) = problems(tmp_path, text)
    assert problem.line == line_of(text, "destination: ")
    assert "put all into destinations" in problem.advice


def test_every_fault_that_a_backend_finds_is_told(tmp_path: Path) -> None:
    """A plug-in lists a fault a line: each is a problem, at the key that it begins with."""
    found = problems(tmp_path, config(credential={"destination": "{path: 1, pth: x}"}))
    assert [(problem.where, problem.message) for problem in found] == [
        ("credentials[ci].destination", "only path and slot go here"),
        ("credentials[ci].destination.path", "must be text"),
    ]


def test_a_name_is_given_once(tmp_path: Path) -> None:
    """The second one is told, and where the first one is."""
    text = config(more=SECOND.replace("name: cd", "name: ci"))
    (problem,) = problems(tmp_path, text)
    assert problem.line == line_of(text, "cd@pve")
    assert problem.message == "duplicate name 'ci'"
    assert "on line 8 " in problem.advice


def test_two_credentials_do_not_share_a_destination(tmp_path: Path) -> None:
    """The backend's label decides, not the way it is written; mirrors count too."""
    more = SECOND.replace("destination: {path: cd}", "destinations: [{path: cd}, {path: ci, slot: 2}]")
    (problem,) = problems(tmp_path, config(more=more))
    assert problem.where == "credentials[cd].destinations[1]"
    assert "shelf:ci is where the credential 'ci' goes already" in problem.message


def test_a_credential_does_not_have_a_destination_twice(tmp_path: Path) -> None:
    """A mirror of itself would never be in step."""
    text = config(credential={"destination": None, "destinations": "[{path: a}, {path: b}, {path: a}]"})
    (problem,) = problems(tmp_path, text)
    assert problem.where == "credentials[ci].destinations[2]"
    assert "twice in this credential" in problem.message


def test_two_credentials_do_not_share_their_tokens_names(tmp_path: Path) -> None:
    """Same cluster, user and base: each would take the other's tokens for its own."""
    (problem,) = problems(tmp_path, config(more=SECOND.replace("user: cd@pve", "user: ci@pve, base: ci")))
    assert problem.where == "credentials[cd].base"
    assert "are those of 'ci' already" in problem.message


def test_a_base_that_begins_like_another_is_no_clash(tmp_path: Path) -> None:
    """``ci-2-5-abcde`` is read from its end: the base is ``ci-2``, never ``ci``."""
    more = SECOND.replace("user: cd@pve", "user: ci@pve, base: ci-2")
    assert len(read(tmp_path, config(more=more)).credentials) == 2


def test_a_pinned_name_does_not_look_like_one_of_another_base(tmp_path: Path) -> None:
    """A regenerated token named like a fresh one would be counted among those."""
    more = SECOND.replace("user: cd@pve", "user: ci@pve, base: ci-8-k3f9q, strategy: regenerate")
    (problem,) = problems(tmp_path, config(more=more))
    assert problem.where == "credentials[cd].base"
    assert "made for the base 'ci'" in problem.message


def test_a_pinned_name_is_one_that_pve_accepts(tmp_path: Path) -> None:
    """PVE's names have two characters or more."""
    (problem,) = problems(tmp_path, config(credential={"base": "a", "strategy": "regenerate"}))
    assert problem.where == "credentials[ci].base"


def test_regenerating_has_no_overlap(tmp_path: Path) -> None:
    """Who asks for one is told that there is none, instead of being locked out."""
    text = config(credential={"strategy": "regenerate", "overlap": "1h"})
    (problem,) = problems(tmp_path, text)
    assert problem.line == line_of(text, "overlap: 1h")
    assert "no overlap is possible" in problem.message


def test_grants_have_no_effect_without_privilege_separation(tmp_path: Path) -> None:
    """Also when privsep comes from the defaults."""
    text = config(top={"defaults": "{privsep: false}"}, credential={"grants": "[{path: /, role: A}]"})
    (problem,) = problems(tmp_path, text)
    assert problem.where == "credentials[ci].grants"
    assert "no effect with privsep: false" in problem.message


def test_a_role_is_granted_once_on_a_path(tmp_path: Path) -> None:
    """Also if the two differ in how far it reaches."""
    grants = "[{path: /, role: A}, {path: /, role: A, propagate: false}]"
    (problem,) = problems(tmp_path, config(credential={"grants": grants}))
    assert problem.where == "credentials[ci].grants[1]"


def test_what_the_defaults_make_wrong_is_told_once_at_the_defaults(tmp_path: Path) -> None:
    """And not for each of the credentials that it holds for."""
    text = config(top={"defaults": "{every: 2d, overlap: 24h, lifetime: 70h}"}, more=SECOND)
    (problem,) = problems(tmp_path, text)
    assert problem.where == "defaults.lifetime"
    assert "write 3d or more" in problem.advice


def test_a_lifetime_is_three_overlaps_at_least(tmp_path: Path) -> None:
    """Else a token would be expiring while its predecessor still has its overlap."""
    text = config(credential={"every": "1d", "overlap": "24h", "lifetime": "2d"})
    (problem,) = problems(tmp_path, text)
    assert problem.advice == "write 3d or more"


def test_a_store_without_compare_and_set_needs_a_single_writer(tmp_path: Path) -> None:
    """It is told once, where the backend is configured."""
    top = {"backends": "{book: {type: ledger}}"}
    text = config(top, {}, {"destination": "{backend: book, path: a}"}, SECOND.replace("{path", "{backend: book, path"))
    (problem,) = problems(tmp_path, text)
    assert problem.where == "backends.book"
    assert "single_writer: true" in problem.advice


def test_one_installation_is_one_cluster(tmp_path: Path) -> None:
    """Two clusters with one endpoint would not serialise their writes."""
    text = config().replace("credentials:", "  lab: {endpoints: [PVE1.lan:8006], operator: {path: op2}}\ncredentials:")
    (problem,) = problems(tmp_path, text)
    assert problem.where == "clusters.lab.endpoints[0]"
    assert "the cluster home" in problem.message


def test_a_certificate_is_checked_in_one_way(tmp_path: Path) -> None:
    """Which of two would decide is not guessed."""
    text = config(cluster={"tls": f"{{fingerprint: '{'AB' * 32}', unsafe_skip_verification: true}}"})
    (problem,) = problems(tmp_path, text)
    assert problem.message == "fingerprint and unsafe_skip_verification exclude each other"


def test_a_file_without_a_certificate_is_no_authority(tmp_path: Path) -> None:
    """A key, say, named by mistake."""
    authority = tmp_path / "ca.pem"
    authority.write_text("-----BEGIN PRIVATE KEY-----")
    (problem,) = problems(tmp_path, config(cluster={"tls": f"{{ca: {authority}}}"}))
    assert (problem.where, problem.message) == ("clusters.home.tls.ca", "holds no certificate")


def test_an_operator_that_is_rotated_is_read_from_a_record(tmp_path: Path) -> None:
    """A token given by its secret's reference cannot be replaced by us."""
    text = config(cluster={"operator": GIVEN_OPERATOR}, credential={"operator": "true"})
    (problem,) = problems(tmp_path, text, {"OPERATOR": "x"})
    assert problem.where == "credentials[ci].operator"
    assert "not read from a backend" in problem.message


def test_a_cluster_has_one_operator(tmp_path: Path) -> None:
    """Of two credentials in charge of one record only one can be."""
    more = "  - {name: cd, cluster: home, user: cd@pve, destination: {path: op}, operator: true}\n"
    text = config(credential={"operator": "true", "destination": "{path: op}"}, more=more)
    found = [problem for problem in problems(tmp_path, text) if problem.where.endswith("operator")]
    assert [problem.message for problem in found] == ["'ci' is the operator of this cluster already"]


def test_the_operators_record_belongs_to_nobody_else(tmp_path: Path) -> None:
    """A credential that replaced it without being the operator would leave the rotation with a dead token."""
    text = config(credential={"destination": "{path: op}"})
    (problem,) = problems(tmp_path, text)
    assert problem.where == "credentials[ci].destination"
    assert "say operator: true" in problem.advice


def test_the_operators_record_of_another_cluster_is_no_mirror(tmp_path: Path) -> None:
    """Not even for an operator: the other cluster does not know its tokens."""
    lab = "  lab: {endpoints: [b], operator: {path: lab}}\ncredentials:"
    places = {"operator": "true", "destination": None, "destinations": "[{path: op}, {path: lab}]"}
    (problem,) = problems(tmp_path, config(credential=places).replace("credentials:", lab))
    assert problem.where == "credentials[ci].destinations[1]"
    assert "the operator of the cluster lab" in problem.message


def test_two_clusters_do_not_share_an_operators_record(tmp_path: Path) -> None:
    """A token is of one cluster."""
    lab = "  lab: {endpoints: [b], operator: {path: op}}\ncredentials:"
    (problem,) = problems(tmp_path, config().replace("credentials:", lab))
    assert problem.where == "clusters.lab.operator"
    assert "the operator of the cluster home is read from shelf:op too" in problem.message


def test_an_operator_is_not_regenerated(tmp_path: Path) -> None:
    """A crash between the call and publishing would lock the rotation itself out, and nobody could repair it."""
    text = config(credential={"operator": "true", "destination": "{path: op}", "strategy": "regenerate"})
    (problem,) = problems(tmp_path, text)
    assert problem.where == "credentials[ci].strategy"


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    """Faults of every kind, also several in one credential: none hides another."""
    text = config(
        {"owner": "X", "defaults": "{every: 5}", "backends": "{a: {type: nope}}"},
        {"endpoints": "[a, a]", "tls": "{ca: /nowhere}", "operator": "{backend: b, path: op}"},
        {"user": "ci", "cluster": "hom", "overlap": "40d", "every": "30d", "zzz": "1", "destination": "{path: 1}"},
        SECOND.replace("name: cd", "name: ci").replace("{path: cd}", "{backend: a, path: cd}"),
    )
    assert [problem.where for problem in problems(tmp_path, text)] == [
        "owner",
        "defaults.every",
        "backends.a.type",
        "clusters.home.endpoints[1]",
        "clusters.home.operator.backend",
        "clusters.home.tls.ca",
        "credentials[ci].cluster",
        "credentials[ci].user",
        "credentials[ci].destination.path",
        "credentials[ci].overlap",
        "credentials[ci]",
        "credentials[ci].name",
    ]


def test_a_faulty_part_brings_no_errors_that_follow_from_it(tmp_path: Path) -> None:
    """A cluster or backend that is wrong itself is not said to be unknown; a faulty interval is not compared."""
    text = config(
        {"backends": "{a: {type: nope}}"}, {"endpoints": "x"}, {"every": "1", "destination": "{backend: a, path: x}"}
    )
    found = problems(tmp_path, text)
    assert [problem.where for problem in found] == [
        "backends.a.type",
        "clusters.home.endpoints",
        "credentials[ci].every",
    ]


@pytest.mark.parametrize(
    ("top", "credential", "where"),
    [
        ({"defaults": "{every: 1}"}, {"overlap": "40d"}, "defaults.every"),
        ({"defaults": "{overlap: 1}"}, {"every": "1h"}, "defaults.overlap"),
        ({"defaults": "{strategy: x}"}, {"base": "a"}, "defaults.strategy"),
        ({"defaults": "{privsep: x}"}, {"grants": "[{path: /, role: A}]"}, "defaults.privsep"),
        ({}, {"operator": "1", "destination": "{path: op}"}, "credentials[ci].operator"),
        ({}, {"name": "CI", "destination": "{path: x}"}, "credentials[0].name"),
        (
            {"backends": "{a: {type: ledger, single_writer: 1}}"},
            {"destination": "{backend: a, path: x}"},
            "backends.a.single_writer",
        ),
    ],
)
def test_a_faulty_value_is_not_reckoned_with(
    tmp_path: Path, top: dict[str, str], credential: dict[str, str], where: str
) -> None:
    """What stands in its place means nothing, and is not compared with anything."""
    assert [problem.where for problem in problems(tmp_path, config(top, {}, credential))] == [where]


def test_what_a_credential_says_itself_is_checked_beside_faulty_defaults(tmp_path: Path) -> None:
    """The defaults do not count for it."""
    text = config({"defaults": "{every: 1, overlap: 2}"}, {}, {"every": "1h", "overlap": "2h"})
    found = [problem.where for problem in problems(tmp_path, text)]
    assert found == ["defaults.every", "defaults.overlap", "credentials[ci].overlap"]


def test_backends_are_closed_when_the_configuration_is_wrong(tmp_path: Path) -> None:
    """Nothing that was configured stays open, and one that breaks then hides no error of the file."""
    made: list[Shelf] = []

    class Recorded(Shelf):
        @classmethod
        def configure(cls, settings: Mapping[str, Any]) -> Shelf:
            made.append(super().configure(settings))
            return made[-1]

        def close(self) -> None:
            super().close()
            raise RuntimeError("a bug of a backend")

    path = tmp_path / "rotate.yaml"
    path.write_text(config({"owner": "X", "backends": "{a: {type: shelf}}"}))
    with pytest.raises(InvalidConfigError, match="owner"):
        load(path, find_backend=lambda _: Recorded, environ={})
    assert [shelf.closed for shelf in made] == [1, 1]


def test_the_message_is_the_whole_list_for_people(tmp_path: Path) -> None:
    """File, line and column as editors know them, the key, what is wrong, and below it what to write."""
    path = tmp_path / "rotate.yaml"
    path.write_text(config(credential={"every": "30", "overlap": "x"}))
    with pytest.raises(InvalidConfigError) as caught:
        load(path, find_backend=find, environ={})
    error = caught.value
    assert error.exit_code is ExitCode.CONFIG
    assert "rotate config schema" in error.hint
    assert str(error).splitlines() == [
        "the configuration has 2 errors; nothing was contacted",
        f"  {path}:12:5: credentials[ci].every: a number without a unit",
        "    write 30d for days or 30h for hours",
        f"  {path}:13:5: credentials[ci].overlap: not a duration",
        "    write whole numbers with w, d, h, m or s, for example 90s, 10m, 12h, 30d, 2w or 1d12h",
    ]
