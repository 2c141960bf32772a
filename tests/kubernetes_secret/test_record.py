"""What a write does to a Secret, and what it leaves alone; with ROTATE_TEST_KUBECONFIG on a real cluster, too."""

from __future__ import annotations

import base64

import pytest

from rotator.errors import ConflictError, RefusedError
from rotator.model import Secret, Version
from rotator.testing.backend_contract import pair, shown
from rotator_backends.kubernetes_secret import WRITE, KubernetesBackend, SecretLocation
from tests.kubernetes_secret.lab import Json, Lab, encoded, new_name

OWNER = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "name": "some-owner",
    "uid": "7d1f1a4e-6a55-4a6c-9c5e-2f0a3d1b9a11",
    "blockOwnerDeletion": False,
}
FINALIZER = "rotate.test/held"


def place(backend: KubernetesBackend, lab: Lab, name: str) -> SecretLocation:
    """Locate a secret of a lab."""
    return backend.locate({"namespace": lab.namespace, "name": name})[0]


def rest(secret: Json) -> Json:
    """Return what a write must not touch: everything but the data, the version and our mark of the write."""
    metadata = {
        key: value for key, value in secret["metadata"].items() if key not in {"resourceVersion", "managedFields"}
    }
    metadata["annotations"] = {key: value for key, value in metadata.get("annotations", {}).items() if key != WRITE}
    return {**{key: value for key, value in secret.items() if key != "data"}, "metadata": metadata}


def test_only_our_keys_of_a_foreign_secret_change(anywhere: Lab) -> None:
    """Other keys, type, labels, annotations, owners and finalizers stay: CAPMOX hangs its own on its Secret."""
    metadata = {
        "labels": {"app": "capmox"},
        "annotations": {"note": "by hand"},
        "ownerReferences": [OWNER],
        "finalizers": [FINALIZER],
    }
    name = anywhere.add({"url": b"https://pve:8006", "raw": b"\xff\x00"}, metadata=metadata, type="example.com/own")
    backend, before = anywhere.backend(), anywhere.secret(name)
    location = place(backend, anywhere, name)
    backend.write(location, pair(1), expected=Version(before["metadata"]["resourceVersion"]))
    after = anywhere.secret(name)
    assert rest(after) == rest(before)
    ours = {key: value.reveal().encode() for key, value in pair(1).items()}
    assert after["data"] == encoded({"url": b"https://pve:8006", "raw": b"\xff\x00", **ours})
    backend.close()


def test_a_new_secret_says_who_made_it(anywhere: Lab) -> None:
    """It is Opaque, carries the usual label, and holds our keys and no other."""
    backend, name = anywhere.backend(), new_name()
    backend.write(place(backend, anywhere, name), pair(1), expected=None)
    made = anywhere.secret(name)
    assert made["type"] == "Opaque"
    assert made["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "proxmox-token-rotator"}
    assert set(made["data"]) == {"token_id", "token_secret"}
    backend.close()


def test_every_write_leaves_another_mark(anywhere: Lab) -> None:
    """The API server keeps the resourceVersion of what a patch leaves as it is: the mark makes each write a change."""
    backend, name = anywhere.backend(), new_name()
    location = place(backend, anywhere, name)
    marks, version = set(), None
    for _ in range(5):
        version = backend.write(location, pair(1), expected=version)
        marks.add(anywhere.secret(name)["metadata"]["annotations"][WRITE])
    assert len(marks) == 5
    backend.close()


def test_without_that_mark_an_unchanged_patch_keeps_the_version(anywhere: Lab) -> None:
    """This is why there is one: the simulated server behaves there as the real one does."""
    name = anywhere.add({"a": b"1"})
    before = anywhere.secret(name)
    assert anywhere.edit(name, {"data": encoded({"a": b"1"})}) == before
    assert (
        anywhere.edit(name, {"data": encoded({"a": b"2"})})["metadata"]["resourceVersion"]
        != (before["metadata"]["resourceVersion"])
    )


def test_a_secret_without_our_keys_is_read_with_its_version(anywhere: Lab) -> None:
    """Somebody has prepared it: the core sees foreign fields and can write on that version."""
    name = anywhere.add({"url": b"https://pve:8006"})
    backend = anywhere.backend()
    stored = backend.read(place(backend, anywhere, name))
    assert stored is not None
    assert dict(stored.fields) == {"url": Secret("https://pve:8006")}
    backend.write(place(backend, anywhere, name), pair(1), expected=stored.version)
    backend.close()


def test_a_secret_without_any_data_can_be_written(anywhere: Lab) -> None:
    """The API leaves ``data`` out then."""
    name = anywhere.add({})
    backend = anywhere.backend()
    stored = backend.read(place(backend, anywhere, name))
    assert stored is not None
    assert dict(stored.fields) == {}
    backend.write(place(backend, anywhere, name), pair(1), expected=stored.version)
    backend.close()


def test_binary_values_are_no_fields_and_stay(anywhere: Lab) -> None:
    """A keystore beside the token is none of our business."""
    name = anywhere.add({"keystore": b"\xfe\xed\xfe\xed", "text": b"yes"})
    backend = anywhere.backend()
    stored = backend.read(place(backend, anywhere, name))
    assert stored is not None
    assert set(stored.fields) == {"text"}
    backend.write(place(backend, anywhere, name), pair(1), expected=stored.version)
    assert base64.b64decode(anywhere.secret(name)["data"]["keystore"]) == b"\xfe\xed\xfe\xed"
    backend.close()


def test_a_binary_value_is_never_overwritten(anywhere: Lab) -> None:
    """Whatever key the configuration gives: what we cannot read back we do not replace."""
    name = anywhere.add({"PROXMOX_TOKEN": b"\xff"})
    backend = anywhere.backend()
    version = Version(anywhere.secret(name)["metadata"]["resourceVersion"])
    with pytest.raises(RefusedError, match="its key PROXMOX_TOKEN holds bytes that are no UTF-8") as caught:
        backend.write(place(backend, anywhere, name), {"PROXMOX_TOKEN": Secret("x")}, expected=version)
    assert caught.value.hint == "repair or remove it by hand; a binary value is never overwritten"
    assert anywhere.secret(name)["data"] == encoded({"PROXMOX_TOKEN": b"\xff"})
    backend.close()


def test_a_binary_token_is_not_taken_for_an_absent_one(anywhere: Lab) -> None:
    """Read as "none of our keys" it would be overwritten by a first issue."""
    name = anywhere.add({"token_id": b"\xff", "token_secret": b"\xff"})
    backend = anywhere.backend()
    with pytest.raises(RefusedError, match="its key token_id, token_secret holds bytes that are no UTF-8"):
        backend.read(place(backend, anywhere, name))
    backend.close()


def test_an_immutable_secret_is_refused_with_advice(anywhere: Lab) -> None:
    """By the write and already by the preflight; its data stay."""
    name = anywhere.add({"token_id": b"x", "token_secret": b"y"}, immutable=True)
    backend, before = anywhere.backend(), anywhere.secret(name)
    location = place(backend, anywhere, name)
    with pytest.raises(RefusedError, match=f"/{name} at .*: it is immutable; the record is unchanged") as caught:
        backend.write(location, pair(1), expected=Version(before["metadata"]["resourceVersion"]))
    assert f"kubectl -n {anywhere.namespace} delete secret {name}" in caught.value.hint
    with pytest.raises(RefusedError, match="it is immutable"):
        backend.preflight(location)
    assert anywhere.secret(name) == before
    backend.close()


def test_a_secret_that_is_being_deleted_is_refused(anywhere: Lab) -> None:
    """A finalizer holds it; the API would take the patch, and the record would be gone a moment later."""
    name = anywhere.add({"a": b"1"}, metadata={"finalizers": [FINALIZER]})
    anywhere.delete(name)
    backend, before = anywhere.backend(), anywhere.secret(name)
    location = place(backend, anywhere, name)
    with pytest.raises(RefusedError, match="it is being deleted; the record is unchanged") as caught:
        backend.write(location, pair(1), expected=Version(before["metadata"]["resourceVersion"]))
    assert "its finalizers hold it" in caught.value.hint
    with pytest.raises(RefusedError, match="it is being deleted"):
        backend.preflight(location)
    with pytest.raises(ConflictError):
        backend.write(location, pair(1), expected=None)
    assert anywhere.secret(name) == before
    backend.close()


def test_a_secret_made_anew_is_a_conflict(anywhere: Lab) -> None:
    """Its resourceVersion is another one, although the content is the same."""
    backend, name = anywhere.backend(), new_name()
    location = place(backend, anywhere, name)
    old = backend.write(location, pair(1), expected=None)
    anywhere.delete(name)
    with pytest.raises(ConflictError, match=f"secret {anywhere.namespace}/{name} was removed by somebody else"):
        backend.write(location, pair(2), expected=old)
    new = backend.write(location, pair(1), expected=None)
    assert new != old
    with pytest.raises(ConflictError, match="was changed by somebody else"):
        backend.write(location, pair(2), expected=old)
    backend.close()


def test_what_does_not_fit_is_refused_and_leaves_no_trace(anywhere: Lab) -> None:
    """A secret holds 1 MiB; the API server measures it."""
    name = anywhere.add({"large": b"x" * (1024 * 1024 - 10)})
    backend, before = anywhere.backend(), anywhere.secret(name)
    with pytest.raises(RefusedError, match="Too long") as caught:
        backend.write(place(backend, anywhere, name), pair(1), expected=Version(before["metadata"]["resourceVersion"]))
    assert caught.value.hint == "a secret can hold 1 MiB; what else is in it?"
    assert anywhere.secret(name) == before
    backend.close()


def test_a_preflight_changes_nothing_whether_it_is_there_or_not(anywhere: Lab) -> None:
    """Not even the version: it is a dry run."""
    backend = anywhere.backend()
    name = anywhere.add({"a": b"1"})
    before = anywhere.secret(name)
    backend.preflight(place(backend, anywhere, name))
    absent = place(backend, anywhere, new_name())
    backend.preflight(absent)
    assert anywhere.secret(name) == before
    assert backend.read(absent) is None
    backend.close()


@pytest.mark.parametrize("key", ["", ".", "..", "..a", "a/b", "a b", "ключ", "k" * 254, "a\n"])
def test_a_key_that_kubernetes_does_not_take_is_refused_before_anything_is_sent(anywhere: Lab, key: str) -> None:
    """While the configuration is checked, and by the write; the message names the key."""
    backend, name = anywhere.backend(), new_name()
    location = place(backend, anywhere, name)
    with pytest.raises(RefusedError, match="cannot hold the key") as caught:
        backend.write(location, {key: Secret("x"), "good": Secret("y")}, expected=None)
    assert repr(key) in caught.value.message
    assert backend.read(location) is None
    backend.close()


def test_half_a_character_is_refused_before_anything_is_sent(anywhere: Lab) -> None:
    """JSON of another store can hold it and no text can; the message shows none of the value."""
    backend = anywhere.backend()
    location = place(backend, anywhere, new_name())
    with pytest.raises(RefusedError, match="cannot hold token_secret: the value is no text") as caught:
        backend.write(location, {**pair(1), "token_secret": Secret("some-value-\ud800")}, expected=None)
    assert "some-value" not in shown(caught.value)
    assert backend.read(location) is None
    backend.close()
