"""What a path can hold: versions that are deleted, destroyed or gone for good, and the keys of others."""

from __future__ import annotations

import pytest
from hvac.exceptions import InvalidPath

from rotator.errors import ConflictError, NotFoundError, RefusedError
from rotator.model import Secret
from rotator_backends.vault_kv import VaultLocation
from tests.vault.lab import RECORD, Lab, named


@pytest.fixture
def place(lab: Lab) -> VaultLocation:
    """Return a location in a mount of its own, where nothing is."""
    return VaultLocation(lab.mount(), named("ci"))


def test_a_path_that_was_never_written_is_created_with_version_one(lab: Lab, place: VaultLocation) -> None:
    """Nothing is there, and the first write makes the first version."""
    backend = lab.backend()
    assert backend.read(place) is None
    assert backend.write(place, RECORD, expected=None).startswith("1@")


def test_a_path_that_has_metadata_alone_is_created(lab: Lab, place: VaultLocation) -> None:
    """Somebody described the record before it was made: there is no version, and the number to name is 0."""
    lab.admin().secrets.kv.v2.update_metadata(place.path, mount_point=place.mount, custom_metadata={"owner": "ops"})
    backend = lab.backend()
    assert backend.read(place) is None
    assert backend.write(place, RECORD, expected=None).startswith("1@")


def test_a_deleted_version_is_nothing_and_still_counts(lab: Lab, place: VaultLocation) -> None:
    """A soft delete leaves the number: the next version is created above it, once."""
    backend = lab.backend()
    backend.write(place, RECORD, expected=None)
    lab.admin().secrets.kv.v2.delete_latest_version_of_secret(place.path, mount_point=place.mount)
    assert backend.read(place) is None
    assert backend.write(place, RECORD, expected=None).startswith("2@")
    with pytest.raises(ConflictError, match=f"^{place} was made by somebody else$"):
        backend.write(place, RECORD, expected=None)


def test_a_destroyed_version_is_nothing_and_still_counts(lab: Lab, place: VaultLocation) -> None:
    """What is destroyed cannot come back; its number stays."""
    backend = lab.backend()
    backend.write(place, RECORD, expected=None)
    lab.admin().secrets.kv.v2.destroy_secret_versions(place.path, versions=[1], mount_point=place.mount)
    assert backend.read(place) is None
    assert backend.write(place, RECORD, expected=None).startswith("2@")


def test_a_version_that_was_deleted_is_a_conflict(lab: Lab, place: VaultLocation) -> None:
    """Who expects a version that somebody has deleted has lost."""
    backend = lab.backend()
    version = backend.write(place, RECORD, expected=None)
    lab.admin().secrets.kv.v2.delete_latest_version_of_secret(place.path, mount_point=place.mount)
    with pytest.raises(ConflictError, match=f"^{place} was removed by somebody else$"):
        backend.write(place, RECORD, expected=version)


def test_a_version_does_not_come_back_with_its_number(lab: Lab, place: VaultLocation) -> None:
    """A path that was removed with its metadata counts from 1 again; a version from before is a conflict anyway."""
    backend = lab.backend()
    before = backend.write(place, RECORD, expected=None)
    lab.admin().secrets.kv.v2.delete_metadata_and_all_versions(place.path, mount_point=place.mount)
    after = backend.write(place, RECORD, expected=None)
    assert before.startswith("1@")
    assert after.startswith("1@")
    with pytest.raises(ConflictError, match=f"^{place} was changed by somebody else$"):
        backend.write(place, RECORD, expected=before)


def test_a_write_by_hand_is_a_conflict(lab: Lab, place: VaultLocation) -> None:
    """An edit by others makes a version of its own."""
    backend = lab.backend()
    version = backend.write(place, RECORD, expected=None)
    lab.admin().secrets.kv.v2.create_or_update_secret(place.path, {"note": "mine"}, mount_point=place.mount)
    with pytest.raises(ConflictError, match=f"^{place} was changed by somebody else$"):
        backend.write(place, RECORD, expected=version)


def test_a_mount_that_requires_check_and_set_is_written(lab: Lab, place: VaultLocation) -> None:
    """Every write names a number, so that neither the mount nor the record need to be told otherwise."""
    kv = lab.admin().secrets.kv.v2
    kv.configure(cas_required=True, mount_point=place.mount)
    backend = lab.backend()
    first = backend.write(place, RECORD, expected=None)
    assert backend.write(place, RECORD, expected=first).startswith("2@")


def test_old_versions_that_vault_throws_away_do_not_matter(lab: Lab, place: VaultLocation) -> None:
    """With ``max_versions`` 1 only the latest is kept, and it is all that is needed."""
    lab.admin().secrets.kv.v2.configure(max_versions=1, mount_point=place.mount)
    backend = lab.backend()
    version = None
    for _ in range(4):
        version = backend.write(place, RECORD, expected=version)
    stored = backend.read(place)
    assert stored is not None
    assert stored.version == version
    assert dict(stored.fields) == RECORD


def test_keys_of_others_stay_as_they_are(lab: Lab, place: VaultLocation) -> None:
    """Numbers, truth values, nothing, lists and objects are written back as what they are."""
    foreign = {"port": 8006, "ratio": 1.5, "verify": True, "proxy": None, "nodes": ["pve1"], "tags": {"a": {"b": 1}}}
    kv = lab.admin().secrets.kv.v2
    kv.create_or_update_secret(place.path, {**foreign, "user": "root"}, mount_point=place.mount)
    backend = lab.backend()
    stored = backend.read(place)
    assert stored is not None
    shown = {"port": "8006", "ratio": "1.5", "verify": "true", "user": "root"}
    assert {key: value.reveal() for key, value in stored.fields.items()} == shown
    backend.write(place, RECORD, expected=stored.version)
    written = {key: value.reveal() for key, value in RECORD.items()}
    assert lab.raw(place)["data"] == {**foreign, "user": "root", **written}


def test_keys_of_others_stay_in_version_one_too(lab: Lab) -> None:
    """Version 1 replaces the whole record, so all of it is written again."""
    place = VaultLocation(lab.mount(version=1), named("ci"))
    kv = lab.admin().secrets.kv.v1
    kv.create_or_update_secret(place.path, {"nodes": ["pve1"], "ttl": "5m"}, method="POST", mount_point=place.mount)
    backend = lab.backend(kv_version=1)
    stored = backend.read(place)
    assert stored is not None
    backend.write(place, RECORD, expected=stored.version)
    data = kv.read_secret(place.path, mount_point=place.mount)["data"]
    assert data["nodes"] == ["pve1"]
    assert data["ttl"] == "5m"
    assert data["token_secret"] == RECORD["token_secret"].reveal()


def test_a_structure_under_our_own_key_is_not_ours_to_replace(lab: Lab, place: VaultLocation) -> None:
    """Whatever put an object there will want to find it."""
    kv = lab.admin().secrets.kv.v2
    kv.create_or_update_secret(place.path, {"token_id": {"user": "ci"}}, mount_point=place.mount)
    backend = lab.backend()
    stored = backend.read(place)
    assert stored is not None
    with pytest.raises(RefusedError) as caught:
        backend.write(place, RECORD, expected=stored.version)
    assert caught.value.message == f"{place} is left as it is: its key 'token_id' holds a structure"
    assert caught.value.hint == "remove that key by hand"


def test_half_a_character_is_refused(lab: Lab, place: VaultLocation) -> None:
    """Vault would put another character in its place."""
    with pytest.raises(RefusedError, match=r"the key or value of 'token_secret' is no text$"):
        lab.backend().write(place, {"token_secret": Secret("half \ud83d")}, expected=None)


def test_metadata_tell_who_wrote_what(lab: Lab, place: VaultLocation) -> None:
    """With ``metadata`` the custom metadata name the writer and the token, beside what others put there."""
    kv = lab.admin().secrets.kv.v2
    kv.update_metadata(
        place.path, mount_point=place.mount, custom_metadata={"owner": "ops"}, delete_version_after="48h"
    )
    backend = lab.backend(metadata=True)
    first = backend.write(place, RECORD, expected=None)
    backend.write(place, {"unrelated": Secret("x")}, expected=first)
    metadata = kv.read_secret_metadata(place.path, mount_point=place.mount)["data"]
    assert metadata["custom_metadata"] == {
        "owner": "ops",
        "token_id": "ci@pve!ci-1-abcde",
        "written_by": "proxmox-token-rotator",
    }
    assert metadata["delete_version_after"] != "0s"


def test_without_metadata_nothing_is_annotated(lab: Lab, place: VaultLocation) -> None:
    """The least policy allows no write to the metadata, and none is tried."""
    lab.backend().write(place, RECORD, expected=None)
    assert lab.raw(place)["metadata"]["custom_metadata"] is None


@pytest.mark.parametrize(
    "path",
    [
        "team/with blank",
        "percent%20sign",
        "question?mark",
        "hash#tag",
        "plus+and&equals=",
        "semi;colon,comma",
        "quote\"and'quote",
        "back\\slash",
        "umlaut-ü",
        "ключ/密碼",
        "emoji-🔑",
        "tilde~star*",
        "colon:at@dollar$",
        "curly{brace}[bracket]<angle>|pipe^caret`tick",
    ],
)
def test_a_path_may_have_any_printable_character(lab: Lab, path: str) -> None:
    """What is written at such a path is read there, and is found there by others."""
    mount = lab.mount(name=named("kv with blank-ü"))
    backend = lab.backend()
    place, label = backend.locate({"mount": mount, "path": path})
    version = backend.write(place, RECORD, expected=None)
    stored = backend.read(place)
    assert stored is not None
    assert stored.version == version
    assert path in label
    assert lab.raw(place)["data"]["token_id"] == "ci@pve!ci-1-abcde"
    backend.preflight(place)


def test_a_namespace_may_be_said_in_two_ways(lab: Lab) -> None:
    """By the setting, or as the beginning of the mount: it is the same record, with the same label."""
    namespace = named("team")
    lab.admin().sys.create_namespace(namespace)
    mount = lab.mount(namespace=namespace)
    within, plain = lab.backend(namespace=f"/{namespace}/"), lab.backend()
    one, label = within.locate({"mount": mount, "path": "ci"})
    other, same = plain.locate({"mount": f"{namespace}/{mount}", "path": "ci"})
    assert label == same == f"vault:{lab.address}/{namespace}/{mount}/ci"
    version = within.write(one, RECORD, expected=None)
    stored = plain.read(other)
    assert stored is not None
    assert stored.version == version
    within.preflight(one)


def test_a_namespace_that_is_not_there_is_refused(lab: Lab, place: VaultLocation) -> None:
    """It is no empty record."""
    backend = lab.backend(namespace=named("nowhere"))
    for attempt in (
        lambda: backend.read(place),
        lambda: backend.write(place, RECORD, expected=None),
        lambda: backend.preflight(place),
    ):
        with pytest.raises(NotFoundError) as caught:
            attempt()
        assert caught.value.message.endswith(f"at {lab.address}: the namespace does not exist")
        assert caught.value.hint == "correct `namespace`"


def test_a_record_of_another_namespace_is_not_seen(lab: Lab, place: VaultLocation) -> None:
    """In a namespace without that mount there is no record, but an error."""
    namespace = named("team")
    lab.admin().sys.create_namespace(namespace)
    with pytest.raises(NotFoundError) as caught:
        lab.backend(namespace=namespace).read(place)
    assert caught.value.message == f"cannot read {place} at {lab.address}: nothing is mounted there"
    assert caught.value.hint == "correct `mount` or `namespace`, or enable a KV secrets engine"


def test_a_mount_of_version_two_is_not_read_as_version_one(lab: Lab, place: VaultLocation) -> None:
    """It would look empty."""
    backend = lab.backend(kv_version=1)
    for attempt in (lambda: backend.read(place), lambda: backend.write(place, RECORD, expected=None)):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.message == f"{place.mount} at {lab.address} is KV version 2"
        assert caught.value.hint == "set kv_version: 2"


def test_a_mount_of_version_one_is_not_written_as_version_two(lab: Lab) -> None:
    """It would take the write, as a record of another name, and say that all is well."""
    place = VaultLocation(lab.mount(version=1), "ci")
    backend = lab.backend()
    for attempt in (lambda: backend.read(place), lambda: backend.write(place, RECORD, expected=None)):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.message == f"{place.mount} at {lab.address} is KV version 1"
        assert caught.value.hint == "set kv_version: 1"
    with pytest.raises(InvalidPath):
        lab.admin().secrets.kv.v1.list_secrets("", mount_point=place.mount)


def test_another_secrets_engine_is_refused(lab: Lab) -> None:
    """A mount for something else holds no records."""
    mount = named("transit")
    lab.admin().sys.enable_secrets_engine("transit", path=mount)
    with pytest.raises(RefusedError) as caught:
        lab.backend().read(VaultLocation(mount, "ci"))
    assert caught.value.message == f"{mount} at {lab.address} is no KV secrets engine: it is of type transit"
    assert caught.value.hint == "correct `mount`"


def test_a_mount_is_looked_at_once(lab: Lab, place: VaultLocation) -> None:
    """Who is right is not asked again: the mount may go while the backend lives, and then the engine says so."""
    backend = lab.backend()
    assert backend.read(place) is None
    lab.admin().sys.disable_secrets_engine(place.mount)
    with pytest.raises(NotFoundError, match="nothing is mounted there"):
        backend.read(place)
