"""``rotate plan``, ``rotate status`` and ``rotate verify``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rotator.cli.looks import coarse
from rotator.marker import Marker
from tests.cli.lab import START, USER, Lab, only
from tests.cli.plugins import install


def plant_current(lab: Lab, cluster: str, name: str, serial: int = 1, *, published: bool = True) -> str:
    """Put a token of ours into a cluster, as a rotation leaves it; return its id."""
    marker = Marker("lab", name, "0123456789ab", START, published=published)
    token = f"{name}-{serial}-abcde"
    lab.watch(lab.clusters[cluster].add_token(USER, token, privsep=False, comment=marker.comment()))
    return f"{USER}!{token}"


@pytest.mark.parametrize("command", ["plan", "status", "due"])
def test_three_clusters_with_forty_credentials_cost_three_calls(empty_lab: Lab, command: str) -> None:
    """When nothing is due, one list for each cluster says so; no record is read and nobody is asked twice."""
    lab = empty_lab
    for cluster in ("one", "two", "three"):
        lab.add_cluster(cluster)
    for number in range(40):
        cluster = ("one", "two", "three")[number % 3]
        lab.add(f"it{number}", cluster=cluster)
        plant_current(lab, cluster, f"it{number}")
    found = lab.json(command)
    assert {it["reason"] for it in found["results"]} == {"up-to-date"}
    assert len(found["results"]) == 40
    assert [len(pve.calls) for pve in lab.clusters.values()] == [1, 1, 1]
    assert lab.lists() == 3


def test_plan_says_why_and_what_step_by_step(lab: Lab) -> None:
    """A person can judge it before it happens."""
    lab.add("ci", grants=[{"path": "/vms", "role": "PVEVMUser"}], privsep=True)
    out = lab.call("plan").stdout.splitlines()
    assert out[0] == f"ci  first-issue  file:{lab.folder}/ci.json holds no token yet"
    assert [line.split()[1].rstrip(":") for line in out[1:]] == [
        "preflight",
        "issue",
        "grant",
        "verify",
        "publish",
        "confirm",
        "mark",
    ]


def test_plan_names_the_steps_as_the_events_do(lab: Lab) -> None:
    """A script can match what was planned with what happened."""
    lab.add("ci", grants=[{"path": "/vms", "role": "PVEVMUser"}], privsep=True)
    planned = [step["step"] for step in only(lab.json("plan")["results"])["steps"]]
    told = [line.split()[2] for line in lab.call("due").stderr.splitlines()]
    assert told[1:] == planned


def test_plan_tells_when_something_will_be_to_do(lab: Lab) -> None:
    """Nothing to do is not the end of it."""
    lab.add("ci", every="30d")
    lab.call("due")
    planned = only(lab.json("plan")["results"])
    assert planned["steps"] == []
    assert planned["until"].startswith("2026-06-")


def test_plan_warns_of_what_a_credential_gives_up(lab: Lab) -> None:
    """Also when nothing is due: the warning is about the configuration."""
    lab.add("ci", overlap="0s")
    warning = "no overlap: a consumer that has not yet read the new token fails"
    assert f"    warning: {warning}" in lab.call("plan").stdout.splitlines()
    lab.call("due")
    assert only(lab.json("plan")["results"])["warnings"] == [warning]


def test_plan_says_what_a_store_without_compare_and_set_costs(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is accepted with single_writer, and never silently."""
    monkeypatch.syspath_prepend(install(tmp_path))
    lab.extra["backends"] = {"kv": {"type": "plain", "single_writer": True}}
    lab.add("ci", destination={"backend": "kv", "path": str(tmp_path / "ci.json")})
    warning = only(only(lab.json("plan")["results"])["warnings"])
    assert warning.startswith(f"plain:{tmp_path}/ci.json: its store has no compare-and-set")
    assert "locked out" in warning


def test_plan_of_what_needs_a_person_says_so(lab: Lab) -> None:
    """Exit code 4 and a hint, and no steps."""
    lab.add("ci")
    lab.plant("ci", f"{USER}!hand", lab.pve.add_token(USER, "hand"))
    found = lab.json("plan")
    assert found["exit_code"] == 4
    planned = only(found["results"])
    assert (planned["reason"], planned["steps"]) == ("not-adopted", [])
    assert "rotate adopt ci" in planned["hint"]
    assert "    do: to take it over: rotate adopt ci" in lab.call("plan").stdout


def test_status_shows_a_fresh_token(lab: Lab) -> None:
    """Its name, its age, when it is due; columns with nothing in them are left out."""
    lab.add("ci", every="30d")
    lab.call("due")
    lab.time.pass_by(days=8, hours=3)
    header, row = lab.call("status").stdout.splitlines()
    token = lab.record("ci")["token_id"]
    assert header.split() == ["credential", "cluster", "state", "token", "age", "due", "expires"]
    assert row.startswith("ci ")
    assert f"up to date  {token}  8d" in row
    assert row.endswith("never")


def test_status_tells_a_script_all_times(lab: Lab) -> None:
    """ISO 8601 in UTC, an age in seconds."""
    lab.add("ci", every="30d", lifetime="90d", overlap="1h")
    lab.call("due")
    lab.time.pass_by(hours=1)
    stands = only(lab.json("status")["results"])
    assert stands["issued"] == "2026-05-09T07:30:00Z"
    assert stands["age"] == 3600
    assert stands["expires"] == "2026-08-07T07:30:00Z"
    assert stands["due"].startswith("2026-06-")
    assert stands["token"] == lab.record("ci")["token_id"]


def test_status_shows_what_is_retiring_and_until_when(lab: Lab) -> None:
    """After a rotation there are two tokens for a while."""
    lab.add("ci", overlap="2h")
    lab.call("due")
    old = lab.record("ci")["token_id"]
    lab.call("now", "ci")
    retiring = only(only(lab.json("status")["results"])["retiring"])
    assert retiring["token"] == old
    assert retiring["deadline"].startswith("2026-05-09T09:30:0")
    assert f"{old.removeprefix(USER + '!')} until 2026-05-09 09:30Z" in lab.call("status").stdout


def test_status_shows_orphans(lab: Lab) -> None:
    """What was issued and never published, by a run that died."""
    lab.add("ci")
    lab.call("due")
    orphan = plant_current(lab, "one", "ci", 2, published=False)
    lab.time.pass_by(hours=1)
    stands = only(lab.json("status")["results"])
    assert (stands["reason"], stands["orphans"]) == ("orphan", [orphan])
    assert "ci-2-abcde" in lab.call("status").stdout


def test_status_shows_the_token_of_a_paused_credential(lab: Lab) -> None:
    """Paused is a state, not a gap."""
    lab.add("ci")
    lab.call("due")
    lab.call("pause", "ci")
    stands = only(lab.json("status")["results"])
    assert (stands["paused"], stands["reason"]) == (True, "paused")
    assert stands["token"] == lab.record("ci")["token_id"]


def test_status_explains_below_the_table_what_is_not_well(lab: Lab) -> None:
    """A cell has no room for a hint."""
    lab.add("ci")
    lab.plant("ci", f"{USER}!hand", lab.pve.add_token(USER, "hand"))
    result = lab.call("status")
    assert result.exit_code == 4
    assert "not adopted" in result.stdout
    assert "    do: to take it over: rotate adopt ci" in result.stdout


def test_status_says_that_consumers_are_locked_out_and_what_ends_it(lab: Lab) -> None:
    """Somebody deleted the token that they read: the next run would mend it, and meanwhile all is not well."""
    lab.add("ci")
    lab.call("due")
    lab.pve.delete_token(lab.record("ci")["token_id"])
    result = lab.call("status")
    assert (result.exit_code, "published token dead" in result.stdout) == (5, True)
    assert "    do: replace it: rotate now ci; why it is refused: rotate doctor ci" in result.stdout
    assert only(lab.json("status")["results"])["exit_code"] == 5
    assert lab.call("plan").exit_code == 0
    assert lab.call("due").exit_code == 0
    assert lab.call("status").exit_code == 0


def test_status_of_a_cluster_that_is_down_still_lists_its_credentials(lab: Lab) -> None:
    """The table is complete, and says why it knows nothing."""
    lab.add("ci")
    lab.pve.nodes[0].down = True
    found = lab.json("status")
    assert found["exit_code"] == 4
    assert only(found["results"])["reason"] == "cluster-unreachable"
    assert only(found["results"])["token"] == ""
    assert "cluster unreachable" in lab.call("status").stdout


def test_names_choose_what_is_looked_at(lab: Lab) -> None:
    """As everywhere."""
    lab.add("ci")
    lab.add("backup")
    for command in ("plan", "status", "verify"):
        assert {it["credential"] for it in lab.json(command, "backup")["results"]} == {"backup"}


def test_verify_tries_what_consumers_read(lab: Lab) -> None:
    """Every destination is read and used."""
    other = lab.folder / "mirror.json"
    lab.add("ci", destination=None, destinations=[{"path": str(lab.folder / "ci.json")}, {"path": str(other)}])
    del lab.credentials[0]["destination"]
    lab.write()
    lab.call("due")
    found = lab.json("verify")
    assert [it["destination"] for it in found["results"]] == [f"file:{lab.folder}/ci.json", f"file:{other}"]
    assert {it["message"] for it in found["results"]} == {"works on every endpoint"}
    assert found["exit_code"] == 0


def test_verify_finds_a_record_that_does_not_work(lab: Lab) -> None:
    """Exit code 5, the gravest that there is, and what to do."""
    lab.add("ci")
    lab.call("due")
    lab.pve.delete_token(lab.record("ci")["token_id"])
    result = lab.call("verify")
    assert result.exit_code == 5
    assert "ci  does not log in" in result.stdout
    assert "    do: replace it: rotate now ci" in result.stdout


def test_verify_of_a_cluster_that_is_down_does_not_cry_wolf(lab: Lab) -> None:
    """Nobody knows whether the record works: that is a failure, not a record that does not work."""
    lab.add("ci")
    lab.call("due")
    lab.pve.nodes[0].down = True
    found = lab.json("verify")
    assert found["exit_code"] == 4
    assert only(found["results"])["destination"] == ""


def test_looking_changes_nothing(lab: Lab) -> None:
    """Only reads reach PVE, and the record stays what it is."""
    path = lab.add("ci")
    lab.call("due")
    lab.time.pass_by(days=60)
    before = path.read_bytes()
    lab.forget_calls()
    for command in ("plan", "status", "verify"):
        lab.call(command)
    assert {call.method for call in lab.pve.calls} == {"GET"}
    assert path.read_bytes() == before


def test_status_of_a_paused_credential_takes_no_orphan_for_the_published_token(lab: Lab) -> None:
    """The record is not read for it, so the newest token that is marked published counts."""
    lab.add("ci", paused=True)
    published = plant_current(lab, "one", "ci", 1)
    plant_current(lab, "one", "ci", 2, published=False)
    assert only(lab.json("status")["results"])["token"] == published


def test_status_takes_no_published_token_for_an_orphan(lab: Lab) -> None:
    """An older state of the record was put back: consumers may still hold the newer token."""
    path = lab.add("ci")
    lab.call("due")
    before = path.read_bytes()
    lab.call("now", "ci")
    lab.time.pass_by(hours=1)
    path.write_bytes(before)
    lab.pve.delete_token(f"{USER}!{lab.pve.tokens(USER)[0]}")
    stands = only(lab.json("status")["results"])
    assert stands["orphans"] == []


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-"), (59, "59s"), (61, "1m"), (7199, "1h"), (2 * 86400 + 3 * 3600 + 5, "2d3h"), (8 * 86400 + 3600, "8d")],
)
def test_ages_are_as_exact_as_they_matter(seconds: int | None, shown: str) -> None:
    """Hours on the first days, then days."""
    assert coarse(seconds) == shown


def test_what_several_credentials_fail_for_alike_is_said_once(lab: Lab) -> None:
    """A cluster that is down is one thing to mend, however many tokens it has; all of them are named, JSON has each."""
    lab.add_cluster("two")
    for name, cluster in (("ci", "one"), ("web", "two"), ("db", "two"), ("old", "one"), ("older", "one")):
        lab.add(name, cluster=cluster, paused=name.startswith("old"))
    lab.call("due")
    lab.clusters["two"].close()
    for command in ("due", "plan", "status", "verify"):
        said = lab.call(command).stdout
        assert len(re.findall(r"^web, db  .*connection refused", said, flags=re.MULTILINE)) == 1, said
        assert said.count("more: rotate explain connection-refused") == 1
        results = lab.json(command)["results"]
        assert {it["credential"] for it in results if it["cluster"] == "two" and it["exit_code"]} == {"db", "web"}
    lines = lab.call("plan").stdout.splitlines()
    assert [it.partition(" ")[0] for it in lines if "paused" in it] == ["old", "older"]


def test_what_only_looks_alike_is_said_of_each(lab: Lab) -> None:
    """Two records that cannot be read are two things to mend."""
    for name in ("ci", "web"):
        place = lab.folder / f"of-{name}.json"
        place.mkdir()
        lab.add(name, destination={"path": str(place)})
    said = lab.call("due").stdout
    assert [it.partition(" ")[0] for it in said.splitlines() if "failed (record-unreadable)" in it] == ["ci", "web"]


def test_verify_tries_what_consumers_read_although_pve_refuses_the_operator(lab: Lab) -> None:
    """Whether somebody is locked out matters most then; the operator is not shown to PVE again for each credential."""
    for name in ("ci", "web", "db"):
        lab.add(name)
    lab.call("due")
    lab.pve.cluster.plant(lambda state: state.without_token("op@pve", "rot"))
    gone = lab.record("web")["token_id"].rpartition("!")[2]
    lab.pve.cluster.plant(lambda state: state.without_token(USER, gone))
    lab.forget_calls()
    found = {it["credential"]: it for it in lab.json("verify")["results"]}
    assert {name: it["exit_code"] for name, it in found.items()} == {"ci": 4, "web": 5, "db": 4}
    works = "works on every endpoint; what it may do cannot be judged: GET /access/users"
    assert found["ci"]["message"].startswith(works)
    assert found["web"]["message"].startswith("does not log in: ")
    asked = [call.path for call in lab.pve.calls if call.status == 401]
    assert asked.count("/access/users") == len(asked) - 1
    said = lab.call("verify").stdout
    assert (said.count(f"\nci, db  {works}"), said.count("asks which")) == (1, 1)


def test_verify_tries_nobody_where_the_cluster_is_down(lab: Lab) -> None:
    """Each try would wait as long; that nobody answers is said of all."""
    lab.add("ci")
    lab.call("due")
    lab.pve.close()
    (found,) = lab.json("verify")["results"]
    assert (found["exit_code"], found["destination"]) == (4, "")
    assert "connection refused" in found["message"]
