"""A valid configuration comes to settings: what was written, what the defaults say, what is so by itself."""

from __future__ import annotations

import dataclasses
import gc
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.config import ClusterSettings, RecordOperator, Settings, load, schema
from rotator.model import Credential, Destination, Grant, Probe, Strategy, Window
from rotator.registry import find as find_installed
from rotator.yaml_lines import LOADER
from tests.unit.config_world import Shelf, config, problems, read

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
CERTIFICATE = "-----BEGIN CERTIFICATE-----\n"


def test_what_is_left_out_is_so_by_itself(tmp_path: Path) -> None:
    """The least that can be written, and all that follows from it."""
    settings = read(tmp_path, config())
    assert settings.path == tmp_path / "rotate.yaml"
    assert settings.owner == "homelab"
    assert settings.clusters == {
        "home": ClusterSettings("home", ("pve1.lan:8006",), RecordOperator(Destination("file", "op", "shelf:op")))
    }
    assert settings.credentials == (
        Credential(
            name="ci",
            cluster="home",
            owner="homelab",
            userid="ci@pve",
            base="ci",
            every=timedelta(days=30),
            overlap=timedelta(hours=24),
            destinations=(Destination("file", "ci", "shelf:ci"),),
        ),
    )


def test_everything_that_is_written_is_taken(tmp_path: Path) -> None:
    """Each key, with a value that is not the default."""
    text = config(
        {},
        {},
        {
            "base": "Ci.8_x-",
            "every": "1w2d",
            "overlap": "90m",
            "lifetime": "30d",
            "in_flight": "90s",
            "privsep": "true",
            "grants": "[{path: /, role: A}, {path: /vms/100, role: B.c-d, propagate: false}]",
            "destination": None,
            "destinations": "[{path: a}, {backend: file, path: b}]",
            "probes": "[/nodes, '/cluster/resources?type=vm']",
            "windows": "[{cron: 0 2 * * *, duration: 7d, timezone: Europe/Vienna}, {cron: '* * * * *', duration: 1s}]",
            "strategy": "fresh",
            "adopt": "true",
            "paused": "true",
        },
    )
    assert read(tmp_path, text).credentials[0] == Credential(
        name="ci",
        cluster="home",
        owner="homelab",
        userid="ci@pve",
        base="Ci.8_x-",
        every=timedelta(days=9),
        overlap=timedelta(minutes=90),
        lifetime=timedelta(days=30),
        in_flight=timedelta(seconds=90),
        privsep=True,
        grants=(Grant("/", "A"), Grant("/vms/100", "B.c-d", propagate=False)),
        destinations=(Destination("file", "a", "shelf:a"), Destination("file", "b", "shelf:b")),
        probes=(Probe("/nodes"), Probe("/cluster/resources?type=vm")),
        windows=(Window("0 2 * * *", timedelta(days=7), "Europe/Vienna"), Window("* * * * *", timedelta(seconds=1))),
        strategy=Strategy.FRESH,
        adopt=True,
        paused=True,
    )


def test_defaults_hold_unless_a_credential_says_otherwise(tmp_path: Path) -> None:
    """Also when what it says is nothing: no overlap, no privilege separation."""
    defaults = "{every: 9d, overlap: 2h, lifetime: 40d, in_flight: 1m, privsep: true, probes: [/a]}"
    more = (
        "  - {name: cd, cluster: home, user: cd@pve, destination: {path: cd}, "
        "every: 1d, overlap: 0s, lifetime: 2d, in_flight: 2m, privsep: false, probes: [/b]}\n"
    )
    said, other = read(tmp_path, config({"defaults": defaults}, more=more)).credentials
    keys = ("every", "overlap", "lifetime", "in_flight", "privsep", "probes")
    hour, minute, day = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
    assert [getattr(said, key) for key in keys] == [9 * day, 2 * hour, 40 * day, minute, True, (Probe("/a"),)]
    assert [getattr(other, key) for key in keys] == [day, 0 * hour, 2 * day, 2 * minute, False, (Probe("/b"),)]


def test_regenerating_has_no_overlap_whatever_the_defaults_say(tmp_path: Path) -> None:
    """The defaults' overlap is for those that can have one; nor is it longer than such a one's interval."""
    text = config({"defaults": "{overlap: 48h}"}, {}, {"strategy": "regenerate", "every": "1d"})
    assert read(tmp_path, text).credentials[0].overlap == timedelta()


def test_no_overlap_may_be_said_of_regenerating(tmp_path: Path) -> None:
    """It is what is."""
    assert read(tmp_path, config(credential={"strategy": "regenerate", "overlap": "0s"})).credentials


def test_an_overlap_as_long_as_the_interval_is_the_longest(tmp_path: Path) -> None:
    """Then one old token lives beside the new one at any time."""
    text = config(credential={"every": "24h", "overlap": "1d", "lifetime": "3d"})
    assert read(tmp_path, text).credentials[0].overlap == timedelta(days=1)


def test_endpoints_come_in_one_spelling(tmp_path: Path) -> None:
    """Small letters, a port each, IPv6 addresses shortened and in brackets."""
    given = "[PVE1.Lan., 'pve2:443', 10.0.0.1, '[FD00:0::1]', '[fd00::2]:1']"
    endpoints = read(tmp_path, config(cluster={"endpoints": given})).clusters["home"].endpoints
    assert endpoints == ("pve1.lan:8006", "pve2:443", "10.0.0.1:8006", "[fd00::1]:8006", "[fd00::2]:1")


def test_a_cluster_is_trusted_as_it_says(tmp_path: Path) -> None:
    """By an authority, by a fingerprint in any spelling, or not at all."""
    authority = tmp_path / "ca.pem"
    authority.write_text(CERTIFICATE)

    def cluster(tls: str) -> ClusterSettings:
        return read(tmp_path, config(cluster={"tls": tls})).clusters["home"]

    assert cluster(f"{{ca: {authority}}}").ca_file == authority
    assert cluster(f"{{fingerprint: '{'ab' * 32}'}}").fingerprint == ":".join(["AB"] * 32)
    assert cluster("{unsafe_skip_verification: true}").unsafe_skip_verification


def test_timeouts_are_each_clusters_own(tmp_path: Path) -> None:
    """What is not said is so by itself."""
    cluster = read(tmp_path, config(cluster={"timeouts": "{read: 1m}"})).clusters["home"]
    assert (cluster.connect_timeout, cluster.read_timeout) == (timedelta(seconds=5), timedelta(minutes=1))


def test_backends_are_configured_with_their_own_settings(tmp_path: Path) -> None:
    """Ours (type, single_writer) are not theirs; the one called file comes only when it is used."""
    text = config(
        {"backends": "{a: {type: shelf, room: x}, b: {type: ledger, single_writer: true}}"},
        {"operator": "{backend: a, path: op}"},
        {"destination": "{backend: b, path: ci}"},
    )
    settings = read(tmp_path, text)
    assert sorted(settings.backends) == ["a", "b"]
    assert settings.single_writer == {"b"}
    assert settings.credentials[0].primary == Destination("b", "ci", "shelf:ci")
    assert sorted(read(tmp_path, config()).backends) == ["file"]


def test_a_backend_called_file_may_be_configured(tmp_path: Path) -> None:
    """With settings of its own, once."""
    assert sorted(read(tmp_path, config({"backends": "{file: {type: file, room: x}}"})).backends) == ["file"]


def test_an_operator_may_be_a_credential(tmp_path: Path) -> None:
    """When both name one record."""
    text = config(credential={"operator": "true", "destination": "{path: op}"})
    assert read(tmp_path, text).credentials[0].is_operator


def test_keys_for_anchors_are_ignored(tmp_path: Path) -> None:
    """At the top, where they begin with x-; anywhere else they are unknown."""
    assert read(tmp_path, "x-common: {a: [1]}\n" + config()).owner == "homelab"


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    """Neither the values nor the mappings in them."""
    settings = read(tmp_path, config())
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.owner = "x"  # type: ignore[misc] # that is the point
    with pytest.raises(TypeError):
        settings.backends["x"] = Shelf({})  # type: ignore[index] # the same


def test_credentials_of_one_user_know_of_each_other(tmp_path: Path) -> None:
    """None of them ends what another one uses when it takes that over."""
    item = "  - {{name: {0}, cluster: {1}, user: {2}@pve, destination: {{path: {0}}}}}\n"
    others = [("two", "home", "ci"), ("apart", "home", "x")]
    settings = read(tmp_path, config(more="".join(item.format(*it) for it in others)))
    both = frozenset({"ci", "two"})
    assert [it.siblings for it in settings.credentials] == [both, both, frozenset()]


def test_thousands_of_credentials_are_read(tmp_path: Path) -> None:
    """In order, each with its own values."""
    item = "  - {{name: c{0}, cluster: home, user: u{0}@pve, destination: {{path: p{0}}}}}\n"
    credentials = read(tmp_path, config(more="".join(map(item.format, range(2000))))).credentials
    assert [credential.name for credential in credentials[1:]] == [f"c{at}" for at in range(2000)]
    assert credentials[-1].primary.label == "shelf:p1999"


@pytest.mark.parametrize("is_on", [True, False])
def test_garbage_is_collected_afterwards_as_it_was_before(tmp_path: Path, *, is_on: bool) -> None:
    """Reading pauses it, and leaves the choice to others; also when the file is wrong."""
    was_on = gc.isenabled()
    (gc.enable if is_on else gc.disable)()
    try:
        read(tmp_path, config())
        assert gc.isenabled() is is_on
        problems(tmp_path, "")
        assert gc.isenabled() is is_on
    finally:
        (gc.enable if was_on else gc.disable)()


def load_example(example: Path, folder: Path) -> Settings:
    """Load an example as it is, but for where its files are."""
    for name in ("pve-root-ca.pem", "ops-ca.pem"):
        (folder / name).write_text(CERTIFICATE)
    for name in ("attic-password", "ops-webhook", "audit-key"):
        (folder / name).write_text("x")
        (folder / name).chmod(0o600)
    path = folder / example.name
    path.write_text(example.read_text().replace("/etc/rotate", str(folder)))
    return load(path, find_backend=find_installed, environ={"LAB_OPERATOR_SECRET": "x"})


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_examples_are_valid(tmp_path: Path, example: Path) -> None:
    """With the backends that are installed."""
    assert load_example(example, tmp_path).credentials


def test_the_annotated_example_has_every_key() -> None:
    """What the schema knows and the example lacks would be found by nobody."""
    (example,) = (example.read_text() for example in EXAMPLES if example.name == "rotate.yaml")
    missing = {key for _, key, _ in described(schema()) if not re.search(rf"\b{key}:|\b{key} \(", example)}
    assert not missing - {"type"}


def test_the_fleet_example_merges_what_is_common(tmp_path: Path) -> None:
    """Its anchors reach the credentials."""
    (example,) = (example for example in EXAMPLES if example.name == "fleet.yaml")
    backup, *_ = load_example(example, tmp_path).credentials
    assert (backup.name, backup.base, backup.userid) == ("backup-vienna", "backup", "backup@pve")
    assert len(backup.grants or ()) == 2


def described(whole: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each key that the schema knows, with the part of the file that it is in."""
    for name, place in [("", whole), *whole["$defs"].items()]:
        for key, content in place["properties"].items():
            yield name, key, content


def test_the_schema_describes_every_key() -> None:
    """An editor shows it beside the key; where a part describes itself that is enough."""
    whole = schema()
    assert whole["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for name, key, content in described(whole):
        part = whole["$defs"].get(content.get("$ref", "").rpartition("/")[2], {})
        assert content.get("description") or part.get("description"), (name, key)


def test_the_schema_refuses_unknown_keys_and_nulls() -> None:
    """As loading does, but for the settings that backends have, which are theirs."""
    whole = schema()
    open_parts = {name for name, part in whole["$defs"].items() if part["additionalProperties"]}
    assert open_parts == {"BackendEntry", "BackendPart", "PlacePart", "RecordPart"}
    assert whole["additionalProperties"] is False
    assert list(whole["patternProperties"]) == ["^x-"]
    assert "null" not in str(whole)


def test_the_schema_reads_durations_as_loading_does() -> None:
    """The same spellings are right, the same wrong."""
    pattern = schema()["$defs"]["TimeoutsPart"]["properties"]["read"]
    for text, is_right in [("90s", True), ("1d12h", True), ("12h1d", False), ("30", False), ("1.5h", False)]:
        assert bool(re.search(pattern["pattern"], text) and len(text) >= pattern["minLength"]) is is_right


def test_importing_the_configuration_imports_no_library_that_is_slow() -> None:
    """Every command imports it; pydantic and YAML come when a file is read, a store's library when it is configured."""
    program = "import sys, rotator.config; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - our own
    slow = {"pydantic", "yaml", "cronsim", "requests", "hvac", "boto3", "kubernetes", "proxmoxer", "rich", "ssl"}
    assert not slow & set(done.stdout.split())


def test_yaml_is_read_by_libyaml_where_there_is_one() -> None:
    """Ten thousand credentials take a second or two with it, and half a minute without."""
    assert (LOADER.__name__ == "CSafeLoader") is yaml.__with_libyaml__
