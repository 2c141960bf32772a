"""Logging in: a pod's service account whose token is replaced, a kubeconfig, and what is wrong with either."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from signal import SIGKILL

import pytest
from kubernetes.config.config_exception import ConfigException

from rotator.errors import RefusedError, UnauthenticatedError, UnavailableError
from rotator.testing.backend_contract import pair, shown
from rotator.testing.kubernetes import SimulatedKubernetes
from rotator.testing.kubernetes_api import answered
from rotator.testing.kubernetes_server import ApiServer
from rotator_backends.kubernetes_client import Access, Program, Surroundings
from rotator_backends.kubernetes_secret import KubernetesBackend, SecretLocation
from rotator_backends.kubernetes_settings import Auth
from tests.kubernetes_secret.lab import NAMESPACE, ROTATOR, SimulatedLab, in_a_pod

CI = SecretLocation(NAMESPACE, "ci")
NOWHERE = Surroundings({}, Path("/nonexistent"), Path("/nonexistent"))


class Clock:
    """Tells the time that a test wants."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


@pytest.fixture
def timed(tmp_path: Path, clock: Clock) -> Iterator[SimulatedLab]:
    """Open a cluster whose time the test sets."""
    with SimulatedKubernetes(clock=clock) as cluster:
        yield SimulatedLab(cluster, tmp_path)


def pod_backend(lab: SimulatedLab, folder: Path, token: str, **settings: object) -> KubernetesBackend:
    """Make a backend as in a pod of this cluster."""
    return KubernetesBackend.configure(settings, surroundings=in_a_pod(lab.cluster, folder, token))


def test_in_a_pod_nothing_needs_to_be_set(lab: SimulatedLab, tmp_path: Path) -> None:
    """The service account is found where every pod has it."""
    backend = pod_backend(lab, tmp_path, lab.cluster.issue_token(ROTATOR))
    backend.write(CI, pair(1), expected=None)
    assert {call.request.user for call in lab.cluster.calls} == {ROTATOR}
    assert backend.locate({"namespace": "pve", "name": "ci"})[1] == f"kubernetes:127.0.0.1:{lab.cluster.port}/pve/ci"
    backend.close()


def test_a_kubeconfig_that_is_named_goes_before_the_pod(lab: SimulatedLab, tmp_path: Path) -> None:
    """Who names one means it, also in a pod of another cluster."""
    backend = pod_backend(lab, tmp_path, "of another cluster", kubeconfig=str(lab.kubeconfig))
    assert backend.read(CI) is None
    backend.close()


def test_a_token_that_was_replaced_is_read_again(timed: SimulatedLab, clock: Clock, tmp_path: Path) -> None:
    """Kubernetes replaces it every hour; a refused login did nothing, so the same call goes out with the new one."""
    backend = pod_backend(timed, tmp_path, timed.cluster.issue_token(ROTATOR, expires=clock.now + 3600))
    version = backend.write(CI, pair(1), expected=None)
    clock.now += 4000
    (tmp_path / "token").write_text(timed.cluster.issue_token(ROTATOR, expires=clock.now + 3600))
    timed.cluster.calls.clear()
    backend.write(CI, pair(2), expected=version)
    assert [call.status for call in timed.cluster.calls] == [401, 200, 200]
    backend.close()


def test_a_token_that_is_not_replaced_is_reported(timed: SimulatedLab, clock: Clock, tmp_path: Path) -> None:
    """After one more look at the file, and no more."""
    backend = pod_backend(timed, tmp_path, timed.cluster.issue_token(ROTATOR, expires=clock.now + 3600))
    backend.write(CI, pair(1), expected=None)
    clock.now += 4000
    timed.cluster.calls.clear()
    with pytest.raises(UnauthenticatedError, match="does not accept our login") as caught:
        backend.read(CI)
    assert caught.value.hint == "the token was read again and is refused too: does the service account still exist?"
    assert len(timed.cluster.calls) == 2
    backend.close()


def test_a_token_that_is_gone_when_it_is_looked_at_again_is_reported(
    timed: SimulatedLab, clock: Clock, tmp_path: Path
) -> None:
    """With the file's name; nothing is left of the library's own looks, which come in the middle of a call."""
    backend = pod_backend(timed, tmp_path, timed.cluster.issue_token(ROTATOR, expires=clock.now + 3600))
    backend.read(CI)
    (tmp_path / "token").unlink()
    assert backend.read(CI) is None
    clock.now += 4000
    with pytest.raises(RefusedError) as caught:
        backend.write(CI, pair(1), expected=None)
    assert caught.value.message == f"service account in {tmp_path}: service token file does not exist"
    backend.close()


def test_the_library_does_not_look_at_the_login_by_itself(lab: SimulatedLab, tmp_path: Path) -> None:
    """It would after a minute, within a call, and what it raises then would look like a broken connection."""
    surroundings = in_a_pod(lab.cluster, tmp_path, "some-token")
    for access in (Access(Auth.IN_CLUSTER, surroundings), Access(Auth.KUBECONFIG, surroundings, lab.kubeconfig)):
        assert access.configuration().refresh_api_key_hook is None


def plugged(lab: SimulatedLab, folder: Path, script: str) -> KubernetesBackend:
    """Make a backend whose kubeconfig gets its token from a program."""
    program = folder / "plugin"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    text = json.loads(lab.kubeconfig.read_text())
    run = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"}
    text["users"][0]["user"] = {"exec": run}
    lab.kubeconfig.write_text(json.dumps(text))
    return lab.backend()


def test_a_program_may_give_the_token(lab: SimulatedLab, tmp_path: Path) -> None:
    """As those of the cloud providers do."""
    (tmp_path / "answer").write_text(
        json.dumps(
            {
                "kind": "ExecCredential",
                "apiVersion": "client.authentication.k8s.io/v1",
                "status": {"token": lab.cluster.issue_token(ROTATOR)},
            }
        )
    )
    backend = plugged(lab, tmp_path, f"cat {tmp_path / 'answer'}")
    assert backend.read(CI) is None
    backend.close()


def test_a_program_that_gives_no_token_leaves_us_without_a_name(lab: SimulatedLab, tmp_path: Path) -> None:
    """The library goes on as if there were none; what the server says then is told as what it is."""
    backend = plugged(lab, tmp_path, "exit 1")
    with pytest.raises(UnauthenticatedError, match="nobody has logged in") as caught:
        backend.read(CI)
    assert caught.value.hint.endswith("or an exec plugin that failed")
    backend.close()


def test_a_program_that_does_not_end_is_ended() -> None:
    """The library would wait for it for ever, with all that waits for this store; its arguments are not told."""
    used = import_module("kubernetes.config.exec_provider").subprocess
    assert used.Popen is Program
    began = used.Popen(["tail", "-f", "/dev/null"], stdout=used.PIPE, stderr=used.PIPE, text=True)
    with pytest.raises(ConfigException) as caught:
        began.communicate(timeout=0.01)
    assert str(caught.value) == "exec: it does not end"
    assert began.returncode == -SIGKILL
    assert all(pipe and pipe.closed for pipe in (began.stdout, began.stderr))


def test_a_kubeconfig_that_is_not_accepted_is_reported_with_what_to_try(lab: SimulatedLab) -> None:
    """The command in the hint names this very kubeconfig and context."""
    lab.cluster.logins.clear()
    backend = lab.backend(context="lab")
    with pytest.raises(UnauthenticatedError) as caught:
        backend.preflight(CI)
    command = f"kubectl --kubeconfig {lab.kubeconfig} --context lab auth whoami"
    assert caught.value.hint == f"log in again; `{command}` tells who we are"
    backend.close()


def test_the_kubeconfig_is_found_as_kubectl_finds_it(lab: SimulatedLab, tmp_path: Path) -> None:
    """By KUBECONFIG, which may be several, else in the home folder."""
    home = tmp_path / "home" / ".kube"
    home.mkdir(parents=True)
    (home / "config").write_text(lab.kubeconfig.read_text())
    for environ in ({"KUBECONFIG": f"/nonexistent:{lab.kubeconfig}"}, {}):
        backend = KubernetesBackend.configure({}, surroundings=Surroundings(environ, tmp_path / "home", tmp_path))
        assert backend.read(CI) is None
        backend.close()


def test_the_context_that_is_named_is_taken(lab: SimulatedLab, tmp_path: Path) -> None:
    """Not the current one."""
    text = json.loads(lab.kubeconfig.read_text())
    text["clusters"].append({"name": "there", "cluster": {"server": "https://127.0.0.1:1"}})
    text["contexts"].append({"name": "other", "context": {"cluster": "there", "user": "me"}})
    text["current-context"] = "other"
    path = tmp_path / "two"
    path.write_text(json.dumps(text))
    backend = lab.backend(kubeconfig=str(path), context="lab")
    assert backend.read(CI) is None
    assert lab.backend(kubeconfig=str(path)).locate({"name": "ci"})[1] == "kubernetes:127.0.0.1:1/pve/ci"
    backend.close()


def test_one_place_in_two_contexts_has_one_label(lab: SimulatedLab, tmp_path: Path) -> None:
    """The server makes the place, not what a kubeconfig calls the way to it."""
    text = lab.kubeconfig.read_text().replace('"lab"', '"also-lab"')
    (tmp_path / "two").write_text(text)
    backends = [lab.backend(), lab.backend(kubeconfig=str(tmp_path / "two"))]
    assert len({backend.locate({"name": "ci"})[1] for backend in backends}) == 1


def test_a_kubeconfig_that_is_not_there_still_gives_labels() -> None:
    """A configuration is checked where the kubeconfig may be absent; the context, else the path, stands in."""
    for settings, name in (({"context": "lab"}, "lab"), ({}, "/nonexistent/.kube/config")):
        backend = KubernetesBackend.configure({"namespace": "pve", **settings}, surroundings=NOWHERE)
        assert backend.locate({"name": "ci"})[1] == f"kubernetes:{name}/pve/ci"


Spoil = Callable[[dict[str, list[dict[str, dict[str, object]]]]], object]

WRONG: dict[str, tuple[Spoil, str]] = {
    "no context": (lambda text: text["contexts"].clear(), r"it lacks what was looked for \(object with name lab\)"),
    "no cluster": (lambda text: text["clusters"].clear(), r"it lacks what was looked for \(object with name here\)"),
    "no user": (
        lambda text: text["contexts"][0].update({"context": {"cluster": None}}),
        r"it lacks what was looked for \(key cluster\)",
    ),
    "no list": (lambda text: text.update({"contexts": 7}), "it cannot be understood"),  # type: ignore[dict-item]
    "no authority": (
        lambda text: text["clusters"][0]["cluster"].update({"certificate-authority-data": "garbage!"}),
        "it cannot be understood",
    ),
}


def test_who_has_no_home_needs_none_for_a_kubeconfig_that_is_named(
    lab: SimulatedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a container's user of any number, whom nobody has given a HOME: ``~`` means nothing."""
    monkeypatch.setenv("HOME", "~")
    backend = KubernetesBackend.configure({"kubeconfig": str(lab.kubeconfig), "namespace": "pve"})
    assert backend.locate({"name": "ci"})[1].endswith("/pve/ci")


@pytest.mark.parametrize("kind", WRONG)
def test_a_kubeconfig_that_makes_no_sense_is_refused_without_its_content(lab: SimulatedLab, kind: str) -> None:
    """The library's own messages may hold the user's token; ours hold what is missing."""
    text = json.loads(lab.kubeconfig.read_text())
    spoil, why = WRONG[kind]
    spoil(text)
    lab.kubeconfig.write_text(json.dumps(text))
    token = next(iter(lab.cluster.logins))
    backend = lab.backend(context="lab")
    with pytest.raises(RefusedError, match=why) as caught:
        backend.read(CI)
    assert caught.value.message.startswith(f"kubeconfig {lab.kubeconfig}: ")
    assert token not in shown(caught.value)


def name_token(lab: SimulatedLab, path: Path) -> KubernetesBackend:
    """Make a backend whose kubeconfig names a file for the token."""
    text = json.loads(lab.kubeconfig.read_text())
    text["users"][0]["user"] = {"tokenFile": str(path)}
    lab.kubeconfig.write_text(json.dumps(text))
    return lab.backend()


def test_a_token_file_may_end_with_a_newline(lab: SimulatedLab, tmp_path: Path) -> None:
    """As one made by an editor does, and as kubectl reads it."""
    (tmp_path / "token").write_text(f"{lab.cluster.issue_token(ROTATOR)}\n")
    backend = name_token(lab, tmp_path / "token")
    assert backend.write(CI, pair(1), expected=None)
    backend.close()


@pytest.mark.parametrize("odd", ["\r\nhush", " \N{SNOWMAN}"])
def test_what_does_not_fit_into_a_header_is_no_token(lab: SimulatedLab, tmp_path: Path, odd: str) -> None:
    """It is found before anything is sent: the outcome of a write is known, and nobody shows the token."""
    (tmp_path / "token").write_text(f"hush{odd}", newline="")
    backend = name_token(lab, tmp_path / "token")
    with pytest.raises(RefusedError) as caught:
        backend.write(CI, pair(1), expected=None)
    assert caught.value.message == f"kubeconfig {lab.kubeconfig}: its token cannot be sent"
    assert "hush" not in shown(caught.value)
    backend.close()


def test_a_kubeconfig_that_is_not_there_is_refused() -> None:
    """With the path that was looked at."""
    backend = KubernetesBackend.configure({}, surroundings=NOWHERE)
    with pytest.raises(RefusedError) as caught:
        backend.read(CI)
    assert caught.value.message == "kubeconfig /nonexistent/.kube/config: there is no such file, or nothing in it"
    assert caught.value.hint.startswith("name another file by kubeconfig")


def test_a_kubeconfig_that_is_no_yaml_is_refused_without_its_content(lab: SimulatedLab) -> None:
    """A parser quotes the line that it cannot read."""
    lab.kubeconfig.write_text("token: {hush-hush")
    with pytest.raises(RefusedError, match="it cannot be understood") as caught:
        lab.backend().read(CI)
    assert "hush" not in shown(caught.value)


def test_a_pod_without_a_service_account_is_told_so() -> None:
    """Asked for by ``auth: in-cluster``."""
    backend = KubernetesBackend.configure({"auth": "in-cluster", "namespace": "pve"}, surroundings=NOWHERE)
    with pytest.raises(RefusedError) as caught:
        backend.read(CI)
    assert caught.value.message == "service account in /nonexistent: service host/port is not set"
    assert caught.value.hint == "is this a pod, with automountServiceAccountToken not set to false?"
    assert backend.locate({"name": "ci"})[1] == "kubernetes:in-cluster/pve/ci"


def test_an_address_of_ipv6_is_written_in_brackets(tmp_path: Path) -> None:
    """As in any URL; the usual port is left out."""
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    backend = KubernetesBackend.configure(
        {"auth": "in-cluster", "namespace": "pve"}, surroundings=Surroundings(environ, tmp_path, tmp_path)
    )
    assert backend.locate({"name": "ci"})[1] == "kubernetes:[fd00::1]/pve/ci"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("https://127.0.0.1", "http://10.0.0.1", "the server's address is not https"),
        ('"server":', '"insecure-skip-tls-verify": true, "server":', "the server's certificate would not be checked"),
    ],
)
def test_a_secret_is_not_sent_to_whoever_answers(lab: SimulatedLab, old: str, new: str, why: str) -> None:
    """Neither in the clear nor to a server whose certificate nobody checks."""
    lab.kubeconfig.write_text(lab.kubeconfig.read_text().replace(old, new))
    with pytest.raises(RefusedError, match=why):
        lab.backend().read(CI)


def test_a_proxy_of_kubectl_on_this_machine_may_speak_http(lab: SimulatedLab) -> None:
    """``kubectl proxy`` does; where it does not run, nobody is told that a certificate is missing."""
    proxy = ApiServer(lambda message, _: answered(message, lab.cluster), None)
    port = proxy.start()
    lab.kubeconfig.write_text(lab.kubeconfig.read_text().replace(lab.cluster.url, f"http://127.0.0.1:{port}"))
    backend = lab.backend()
    backend.write(CI, pair(1), expected=None)
    proxy.refuse()
    with pytest.raises(UnavailableError, match="connection refused"):
        backend.read(CI)
    proxy.close()
    backend.close()


def test_what_is_on_this_machine_is_never_asked_by_way_of_another(
    lab: SimulatedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library takes HTTP_PROXY from the environment, which would read login and secret in the clear."""
    heard: list[object] = []
    here = ApiServer(lambda message, _: answered(message, lab.cluster), None)
    elsewhere = ApiServer(lambda message, _: heard.append(message), None)
    lab.kubeconfig.write_text(lab.kubeconfig.read_text().replace(lab.cluster.url, f"http://127.0.0.1:{here.start()}"))
    port = elsewhere.start()
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    backend = lab.backend(timeout="2s")
    try:
        backend.write(CI, pair(1), expected=None)
    finally:
        backend.close()
        elsewhere.close()
        here.close()
    assert heard == []


@pytest.mark.parametrize("proxy", ["proxy:3128", "rotator:hush@proxy:3128", "http://[", "ftp://proxy"])
def test_a_proxy_that_is_no_address_is_told(lab: SimulatedLab, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """Many programs take it without its scheme; this library does not, and a password may be in it."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    backend = lab.backend()
    with pytest.raises(RefusedError) as caught:
        backend.write(CI, pair(1), expected=None)
    assert caught.value.message.startswith(f"no connection to 127.0.0.1:{lab.cluster.port} can be prepared (")
    assert caught.value.hint.startswith("HTTPS_PROXY")
    assert "hush" not in shown(caught.value)
    backend.close()


def test_the_kubeconfig_is_never_written_to(lab: SimulatedLab) -> None:
    """The library would put refreshed logins back into it."""
    lab.kubeconfig.chmod(0o400)
    before = lab.kubeconfig.stat()
    backend = lab.backend()
    backend.write(CI, pair(1), expected=None)
    backend.close()
    after = lab.kubeconfig.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
