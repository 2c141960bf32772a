"""Rotations into records that show a token as its consumer wants it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.config_fields import shape_of, site_of
from rotator.config_schema import ClusterPart, PlacePart
from rotator.errors import ExitCode
from rotator.fleet import Lane
from rotator.marker import Name
from rotator.model import Credential, Destination, Held, Secret, Stored, Strategy, Token
from rotator.observe import read
from rotator.presets import PRESETS
from rotator.testing.faulty_backend import Altered, Operation, Stale, nth
from rotator.verify_stored import Proof, prove
from tests.world import EVERY, World

FOREIGN = {".env": "# by hand\nOTHER=1\n", ".json": '{"note": "by hand"}'}
ENDING = timedelta(days=90)

pytestmark = pytest.mark.stores("file", because="the formats are of files, and looked at as text")


def shaped(w: World, path: str, *, endpoint: str = "pve1.lan:8006", **settings: object) -> Destination:
    """Make a destination as the configuration does."""
    place = PlacePart.model_validate({"path": path, **settings})
    cluster = ClusterPart.model_validate({"endpoints": [endpoint], "operator": {"path": "op"}})
    shape, faults = shape_of(place, site_of("home", cluster))
    assert faults == []
    (w.folder / path).parent.mkdir(mode=0o700, exist_ok=True)
    location, label = w.store.locate({**(place.model_extra or {}), "path": str(w.folder / path)})
    return Destination("file", location, label, shape)


def preset(w: World, name: str) -> Destination:
    """Make the destination that a preset is for; where the file may hold more, something foreign is there already."""
    place = PRESETS[name].place
    suffix = {"environment": ".env", "record": ".json"}.get(place, "")
    if not suffix:
        return shaped(w, place, preset=name, format="text")
    write(w, f"consumer{suffix}", FOREIGN[suffix])
    return shaped(w, f"consumer{suffix}", preset=name)


def write(w: World, name: str, text: str) -> None:
    """Write a file as a person does."""
    (w.folder / name).write_text(text)
    (w.folder / name).chmod(0o600)


def text(destination: Destination) -> str:
    """Read a file as its consumer does."""
    return Path(destination.label.removeprefix("file:")).read_text()


def stored(w: World, destination: Destination) -> Stored:
    """Read all that is there, ours and foreign."""
    found = w.store.read(destination.location)
    assert found
    return found


def held(w: World, destination: Destination) -> Token:
    """Read a record as the rotation does; every key must show its token."""
    found = read(destination, w.backends)
    assert isinstance(found, Held)
    assert found.token
    assert found.is_complete
    return found.token


def serial(w: World, destination: Destination) -> int:
    """Tell the serial of the token that a record holds, which must log in."""
    token = held(w, destination)
    assert w.pve.accepts(str(token.id), token.secret.reveal())
    name = Name.parse(token.id.name)
    return name.serial if name else 0


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_rotated(w: World, name: str) -> None:
    """First issue, rotation, retirement, revocation; no canonical key is written, and what is foreign stays."""
    place = preset(w, name)
    ci = w.credential(destinations=(place,))
    assert w.run(ci).done == ("first-issue",)
    before = held(w, place)
    w.clock.pass_by(EVERY)
    assert w.run(ci).done == ("due",)
    assert serial(w, place) == 2
    assert before.secret.reveal() not in text(place)
    assert held(w, place).secret.reveal() in text(place)
    assert set(stored(w, place).fields) - set(PRESETS[name].fields) <= {"OTHER", "note"}
    assert ("by hand" in text(place)) is (PRESETS[name].place in {"environment", "record"})
    w.clock.pass_by(ci.overlap + timedelta(minutes=1))
    assert w.run(ci).done == ("overlap-passed",)
    assert (w.standing(), w.run(ci).reason) == ({"ci-2": "marked"}, "up-to-date")


@pytest.mark.parametrize("name", ["proxmox-csi", "bpg", "capmox"])
def test_a_fence_writes_the_same_once_more(w: World, name: str) -> None:
    """Only the version changes, so that a rotator that observed it before loses."""
    place = preset(w, name)
    ci = w.credential(destinations=(place,))
    w.run(ci)
    before, version = text(place), stored(w, place).version
    w.plant(2, ago=timedelta(hours=1))
    assert w.run(ci).done == ("orphan",)
    assert text(place) == before
    assert stored(w, place).version != version


def test_a_record_with_another_secret_and_other_keys_gets_a_new_token(w: World) -> None:
    """Whoever changes the keys may have broken the secret too: it is tried before the record is finished."""
    place = shaped(w, "ci.json", fields={"token": "{token}", "url": "{api_url}"})
    ci = w.credential(destinations=(place,))
    w.run(ci)
    write(w, "ci.json", f'{{"token": "{held(w, place).id}={"0" * 36}", "url": "https://elsewhere:8006/api2/json"}}')
    assert w.run(ci).done == ("published-token-dead",)
    assert serial(w, place) == 2


def test_a_mirror_has_a_shape_of_its_own(w: World) -> None:
    """One token, two consumers; what the one reads the other need not understand."""
    primary, mirror = shaped(w, "ci.json"), shaped(w, "ci/config.yaml", preset="proxmox-csi", format="text")
    ci = w.credential(destinations=(primary, mirror))
    w.run(ci)
    w.clock.pass_by(EVERY)
    assert w.run(ci).done == ("due",)
    assert held(w, primary) == held(w, mirror)
    assert (serial(w, primary), serial(w, mirror)) == (2, 2)


def test_a_mirror_that_is_written_later_shows_the_same_end(w: World) -> None:
    """The end that a token has is known again from PVE, also to a run that did not issue it."""
    fields = {"TOKEN": "{token}", "ENDS": "{expires_at}"}
    places = shaped(w, "a.env", fields=fields), shaped(w, "b.env", fields=fields)
    ci = w.credential(destinations=places, lifetime=ENDING)
    w.lock_up("b.env")
    assert w.run(ci).exit_code == ExitCode.FAILED
    assert not (w.folder / "b.env").exists()
    w.spoil()
    w.clock.pass_by(timedelta(hours=3))
    assert w.run(ci).done == ("unfinished",)
    assert text(places[0]) == text(places[1])
    assert f"ENDS={w.clock.now() + ENDING - timedelta(hours=3):%Y-%m-%dT%H:%M:%S}Z"[:20] in text(places[1])


def test_without_a_lifetime_the_end_is_empty(w: World) -> None:
    """PVE enforces none until the token is replaced."""
    place = shaped(w, "a.env", fields={"TOKEN": "{token}", "ENDS": "{expires_at}"})
    w.run(w.credential(destinations=(place,)))
    assert "ENDS=\n" in text(place)
    assert serial(w, place) == 1


def test_a_regenerated_token_shows_its_new_end(w: World) -> None:
    """Id and name stay, secret and end are new."""
    place = shaped(w, "a.env", fields={"TOKEN": "{token}", "ENDS": "{expires_at}"})
    ci = w.credential(destinations=(place,), strategy=Strategy.REGENERATE, overlap=timedelta(), lifetime=ENDING)
    w.run(ci)
    w.clock.pass_by(EVERY)
    assert w.run(ci).done == ("due",)
    assert f"ENDS={w.clock.now() + ENDING:%Y-%m-%dT%H:%M}" in text(place)
    token = held(w, place)
    assert w.pve.accepts(str(token.id), token.secret.reveal())


def test_the_predecessor_is_put_back_in_its_shape(w: World) -> None:
    """A key that the consumer reads comes back altered, though id and secret are right: nobody could log in."""
    place = shaped(w, "a.json", preset="bpg", canonical=True)
    ci = w.credential(destinations=(place,))
    w.run(ci)
    before = held(w, place)
    w.clock.pass_by(EVERY)

    def spoilt(stored: Stored | None) -> Stored | None:
        return stored and replace(stored, fields={**stored.fields, "PROXMOX_VE_API_TOKEN": Secret("altered")})

    w.spoil(Altered(nth(Operation.READ, 2), spoilt))
    result = w.run(ci)
    assert (result.exit_code, result.reason) == (ExitCode.LOCKED_OUT, "due")
    assert result.message.endswith("was published again")
    w.spoil()
    assert held(w, place) == before
    assert w.standing() == {"ci-1": "marked", "ci-2": "marked"}


def test_a_mirror_that_comes_back_altered_is_told(w: World) -> None:
    """The old token stays valid until its consumers can read the new one."""
    primary, mirror = shaped(w, "a.json"), shaped(w, "b.env", preset="bpg", fields={"NAME": "{token_name}"})
    ci = w.credential(destinations=(primary, mirror))
    w.run(ci)
    w.clock.pass_by(EVERY)

    def spoilt(stored: Stored | None) -> Stored | None:
        return stored and replace(stored, fields={**stored.fields, "PROXMOX_VE_ENDPOINT": Secret("altered")})

    w.spoil(Altered(nth(Operation.READ, 4), spoilt))
    result = w.run(ci)
    assert result.exit_code == ExitCode.LOCKED_OUT
    assert result.message.endswith("b.env gives back something else than was written")
    assert w.standing() == {"ci-1": "marked", "ci-2": "unmarked"}


@pytest.mark.parametrize(
    "after", [{"preset": "bpg"}, {"preset": "bpg", "canonical": True}, {"fields": {"x": "{secret}"}}]
)
def test_another_shape_is_taken_on_without_another_token(w: World, after: dict[str, Any]) -> None:
    """The configuration was changed: the token that is published is shown under the new keys too."""
    ci = w.settled()
    token = held(w, ci.primary)
    changed = replace(ci, destinations=(shaped(w, "ci.json", **after),))
    result = w.run(changed)
    assert (result.done, result.reason) == (("unfinished",), "up-to-date")
    assert held(w, changed.primary) == token
    assert w.standing() == {"ci-1": "marked"}
    assert w.read()["note"] == "by hand"
    w.forget()
    assert (w.run(changed).done, w.changes()) == ((), [])


def test_another_shape_of_a_mirror_is_written_there_alone(w: World) -> None:
    """The primary is not touched."""
    primary, mirror = w.place("a.json"), w.place("b.json")
    ci = w.settled(destinations=(primary, mirror))
    changed = replace(ci, destinations=(primary, shaped(w, "b.json", preset="bpg")))
    assert w.run(changed).done == ("unfinished",)
    assert [label for call, label in w.store.calls if call == "write"] == [mirror.label]
    assert held(w, changed.mirrors[0]) == held(w, primary)


def test_a_replica_that_still_has_the_former_shape_is_waited_for(w: World) -> None:
    """The token is the same, so only the keys tell that the write has not arrived yet."""
    primary, mirror = w.place("a.json"), w.place("b.json")
    ci = w.settled(destinations=(primary, mirror))
    changed = replace(ci, destinations=(primary, shaped(w, "b.json", preset="bpg")))
    w.spoil(Stale(nth(Operation.READ, 3, 4)))
    result = w.run(changed)
    assert (result.exit_code, result.done) == (0, ("unfinished",))
    assert [call for call, _ in w.store.calls].count("read") > 4


def test_an_endpoint_that_was_replaced_is_written_to_the_consumers(w: World) -> None:
    """Nothing of the token changes, in a text as a whole too."""
    place = shaped(w, "config.yaml", preset="proxmox-csi", format="text")
    ci = w.credential(destinations=(place,))
    w.run(ci)
    token = held(w, place)
    moved = shaped(w, "config.yaml", preset="proxmox-csi", format="text", endpoint="pve9.lan:8006")
    assert w.run(replace(ci, destinations=(moved,))).done == ("unfinished",)
    assert "https://pve9.lan:8006/api2/json" in text(moved)
    assert held(w, moved) == token


@pytest.mark.parametrize("content", ["clusters: []\n", "# by hand\n", "token_id: x\ntoken_secret: y\n"])
def test_a_file_of_another_form_is_never_overwritten(w: World, content: str) -> None:
    """It may be somebody's configuration; a person is needed."""
    place = shaped(w, "config.yaml", preset="proxmox-csi", format="text")
    write(w, "config.yaml", content)
    result = w.run(w.credential(destinations=(place,)))
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "record-unreadable")
    assert "its config.yaml is not what the configuration would write there" in result.message
    assert "remove config.yaml so that a new token is issued" in result.hint
    assert (text(place), w.tokens()) == (content, [])


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_file_is_filled(w: World, content: str) -> None:
    """It was made to have an owner and a mode."""
    place = shaped(w, "config.yaml", preset="proxmox-csi", format="text")
    write(w, "config.yaml", content)
    assert w.run(w.credential(destinations=(place,))).done == ("first-issue",)
    assert serial(w, place) == 1


def test_a_mirror_of_another_form_delays_the_retirement_only(w: World) -> None:
    """Its content stays; the consumers of the primary notice nothing."""
    primary, mirror = shaped(w, "ci.json"), shaped(w, "pve.yml", preset="pve-exporter-yml", format="text")
    ci = w.credential(destinations=(primary, mirror))
    w.run(ci)
    write(w, "pve.yml", "default: {}\n")
    w.clock.pass_by(EVERY)
    assert w.run(ci, forced=True).exit_code == ExitCode.FAILED
    assert text(mirror) == "default: {}\n"
    assert serial(w, primary) == 2
    assert w.standing() == {"ci-1": "marked", "ci-2": "unmarked"}


def test_a_token_in_a_consumers_own_words_is_adopted(w: World) -> None:
    """What Terraform has in its environment need not be written down in other words first."""
    place = shaped(w, "ci.env", preset="bpg")
    secret = w.pve.add_token(w.userid, "hand", privsep=False)
    write(w, "ci.env", f"export PROXMOX_VE_API_TOKEN='{w.userid}!hand={secret}' # by hand\n")
    result = w.run(w.credential(destinations=(place,)), forced=True, adopt=True)
    assert (result.exit_code, result.done) == (0, ("forced",))
    assert w.standing() == {"ci-1": "marked", "hand": "marked, ends in 1d"}
    assert text(place).startswith(f"export PROXMOX_VE_API_TOKEN={w.userid}!ci-1-10000=")
    assert "# by hand\n" in text(place)


def test_verify_tells_of_a_key_that_shows_something_else(w: World) -> None:
    """Id and secret are right, and the consumer reads another key."""
    place = shaped(w, "a.env", preset="bpg", fields={"NAME": "{token_name}x"})
    ci = w.credential(destinations=(place,))
    w.run(ci)
    (proof,) = prove_all(w, ci)
    assert (proof.exit_code, proof.message) == (0, "works on every endpoint")
    write(w, "a.env", text(place).replace("NAME=ci", "NAME=di"))
    (proof,) = prove_all(w, ci)
    assert (proof.exit_code, proof.message) == (ExitCode.FAILED, "works, but not every key shows it as configured")
    assert proof.hint == "write it anew: rotate now ci"


def prove_all(w: World, credential: Credential) -> list[Proof]:
    """Prove what is stored."""
    return prove(Lane(w.cluster, w.cluster.users(), w.fleet()), credential)
