"""A program that logs all it can while it uses the backend; run by ``test_secrets`` as a process of its own.

The secrets come on standard input: two values and the bearer token. Everything else goes out.
"""

from __future__ import annotations

import http.client
import logging
import logging.config
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from rotator.errors import RotatorError
from rotator.model import Secret, Version
from rotator.testing.kubernetes import Answer, AnswerAfter, HangUpAfter, Request, SimulatedKubernetes, Webhook
from rotator.testing.kubernetes_api import answered
from rotator.testing.kubernetes_exchange import Fault
from rotator.testing.kubernetes_rules import EVERYTHING
from rotator.testing.kubernetes_server import ApiServer
from rotator_backends.kubernetes_secret import KubernetesBackend, SecretLocation

LOUD = ("kubernetes.client.rest", "requests_oauthlib.oauth2_session", "urllib3", "client", "http.client", "oauthlib")


def turn_everything_up() -> None:
    """Do what people do when they want to see what goes on, after everything is imported."""
    names = (*logging.root.manager.loggerDict, *LOUD)
    loggers = {name: {"level": "DEBUG", "propagate": True} for name in names}
    root = {"level": "DEBUG", "handlers": ["out"]}
    handlers = {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}}
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": True, "loggers": loggers, "root": root, "handlers": handlers}
    )
    http.client.HTTPConnection.debuglevel = 2


def parrot(status: int, body: str) -> Callable[[Request], Fault]:
    """Answer with a text in the place of what came of it."""
    return lambda _: AnswerAfter(Answer.text(status, body))


def calls(backend: KubernetesBackend, old: str, new: str) -> Iterator[Callable[[], object]]:
    """List everything that has a secret on one side or the other."""
    place = SecretLocation("default", "ci")
    yield lambda: backend.read(place)
    yield lambda: backend.preflight(place)
    yield lambda: backend.write(place, {"token_secret": Secret(new)}, expected=None)
    yield lambda: backend.write(place, {"token_secret": Secret(new), "bad key": Secret(old)}, expected=None)
    stored = backend.read(place)
    yield lambda: backend.write(place, {"token_secret": Secret(old)}, expected=stored.version if stored else None)
    yield lambda: backend.write(place, {"token_secret": Secret(new)}, expected=Version("1"))
    yield lambda: backend.announce(place, rotation="r-1")
    yield lambda: backend.locate({"namespace": "default", "name": "ci"})


def say(*values: object) -> None:
    """Print all there is to see of some values."""
    for value in values:
        sys.stdout.write(f"{value} {value!r} {getattr(value, '__dict__', '')}\n")


def use(backend: KubernetesBackend, old: str, new: str) -> None:
    """Make all calls, and show what they return or raise."""
    attempts = calls(backend, old, new)
    while True:
        try:
            attempt = next(attempts, None)
            if attempt is None:
                return
            say(attempt())
        except RotatorError as error:
            logging.getLogger("loud").exception("failed, %s", error.hint)
            say(error, error.__context__, error.__cause__, *traceback.format_exception(error))


def main() -> None:
    """Let everything go well, and wrong."""
    old, new, token = sys.stdin.read().split()
    turn_everything_up()
    with SimulatedKubernetes() as cluster, tempfile.TemporaryDirectory() as folder:
        cluster.bind("rotator", [EVERYTHING])
        cluster.logins[token] = next(iter([cluster.logins.pop(cluster.issue_token("rotator"))]))
        cluster.add_secret("default", "ci", {"token_secret": old.encode()})
        kubeconfig = cluster.write_kubeconfig(Path(folder), token=token)
        everything = f'{{"kind": "Status", "message": "{old} {new} {token}"}}'
        wrong = (parrot(200, everything), parrot(200, old + new), parrot(500, everything), parrot(403, everything))
        faults = (None, *wrong, lambda _: HangUpAfter())
        for fault in faults:
            cluster.intercept = fault
            backend = KubernetesBackend.configure({"kubeconfig": str(kubeconfig)})
            for name in LOUD[:2]:
                logging.getLogger(name).warning("response body: %s", old)
            use(backend, old, new)
            say(backend, vars(backend))
            backend.close()
        cluster.intercept = None
        proxy = ApiServer(lambda message, _: answered(message, cluster), None)
        in_the_clear = Path(folder) / "clear"
        in_the_clear.write_text(kubeconfig.read_text().replace(cluster.url, f"http://127.0.0.1:{proxy.start()}"))
        use(KubernetesBackend.configure({"kubeconfig": str(in_the_clear)}), old, new)
        proxy.close()
        cluster.webhooks.append(Webhook("chatty.example.com", lambda review: f"{review.new} {review.old}"))
        use(KubernetesBackend.configure({"kubeconfig": str(kubeconfig)}), old, new)
        kubeconfig.write_text(kubeconfig.read_text().replace('"contexts"', '"losers"').replace(token, f"{token} ü"))
        use(KubernetesBackend.configure({"kubeconfig": str(kubeconfig)}), old, new)


if __name__ == "__main__":
    main()
