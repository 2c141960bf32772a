"""A webhook over real TLS: who sent it can be told, nothing is followed, nobody is waited for without end."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import pytest

from rotator.errors import ConfigError, RefusedError, RotatorError, UnavailableError
from rotator.model import Secret
from rotator.notify.notice import About, Notice, notice
from rotator.notify.webhook import Webhook, key_of, signed
from rotator.references import EnvReference
from rotator.settings_telling import WebhookSettings
from tests.notify.receiver import Receiver, authority, receiving, secret_of
from tests.notify.schema import ADAPTER, CHECKED_IN, schema

NOW = datetime(2026, 5, 9, 7, 30, tzinfo=UTC)
NOTICE = notice(About(owner="lab", host="h", occasion="failed", cluster="one", credential="ci", message="ü"), NOW)


@pytest.fixture
def receiver(canary: str) -> Iterator[Receiver]:
    """Return a receiver that knows the secret."""
    with receiving(secret_of(canary)) as made:
        yield made


def webhook(receiver: Receiver, folder: Path, path: str = "/", seconds: float = 5, secret: str = "") -> Webhook:
    """Make a webhook that posts there."""
    settings = WebhookSettings(
        receiver.url + path, EnvReference("UNUSED"), authority(folder), timedelta(seconds=seconds)
    )
    return Webhook(settings, lambda: Secret(secret or receiver.secret), lambda: NOW)


def test_what_is_posted_is_signed_as_the_standard_says(receiver: Receiver, tmp_path: Path) -> None:
    """The receiver verifies it; id, time and body are what was signed."""
    webhook(receiver, tmp_path, "/hooks/x?y=z").send(NOTICE)
    assert receiver.came == [ADAPTER.dump_python(NOTICE, mode="json")]
    (headers,) = receiver.headers
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (NOTICE.id, str(int(NOW.timestamp())))
    assert headers["content-type"] == "application/json"
    assert receiver.paths == ["/hooks/x?y=z"]


def test_a_known_signature_comes_out() -> None:
    """The example of the standard's own text, so that sender and receiver are not wrong alike."""

    class Fixed(Notice):
        body = b'{"test": 2432232314}'

    made = Fixed(id="msg_p5jXN8AQM9LWM0D4loKWxJek", type="", timestamp=NOW, data=NOTICE.data)
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signed(made, key_of(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")), at)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_another_secret_is_another_signature(receiver: Receiver, tmp_path: Path, canaries: tuple[str, ...]) -> None:
    """Who does not have the secret is not believed."""
    webhook(receiver, tmp_path, secret=secret_of(canaries[1])).send(NOTICE)
    assert (len(receiver.headers), receiver.came) == (1, [])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (103, UnavailableError),
        (200, None),
        (299, None),
        (301, RefusedError),
        (307, RefusedError),
        (400, RefusedError),
        (410, RefusedError),
        (408, UnavailableError),
        (429, UnavailableError),
        (500, UnavailableError),
        (503, UnavailableError),
        ("hang up", UnavailableError),
    ],
)
def test_an_answer_says_whether_another_try_can_help(
    receiver: Receiver, tmp_path: Path, answer: int | str, kind: type[RotatorError] | None
) -> None:
    """A redirect is not followed: it would carry the notice to somebody else."""
    receiver.answers = [answer]
    if kind is None:
        webhook(receiver, tmp_path).send(NOTICE)
    else:
        with pytest.raises(kind):
            webhook(receiver, tmp_path).send(NOTICE)
    assert len(receiver.paths) == 1


def test_a_certificate_that_nobody_vouches_for_is_no_receiver(receiver: Receiver, tmp_path: Path, canary: str) -> None:
    """Nothing is sent to one that the system does not trust, nor to one with another name."""
    stranger = Webhook(
        WebhookSettings(receiver.url, EnvReference("X"), None, timedelta(seconds=5)),
        lambda: Secret(receiver.secret),
        lambda: NOW,
    )
    with pytest.raises(UnavailableError, match="its certificate is not trusted"):
        stranger.send(NOTICE)
    with receiving(secret_of(canary), name="other.example") as other:
        with pytest.raises(UnavailableError, match="its certificate is not trusted"):
            webhook(other, tmp_path).send(NOTICE)
        assert other.headers == []
    assert receiver.headers == []


def test_an_answer_that_drips_is_not_waited_for(receiver: Receiver, tmp_path: Path) -> None:
    """The time that it has is for all of it."""
    receiver.answers = ["drip"]
    began = monotonic()
    with pytest.raises(UnavailableError, match="no answer in time"):
        webhook(receiver, tmp_path, seconds=0.3).send(NOTICE)
    assert monotonic() - began < 3


def test_a_status_is_enough_though_what_follows_it_drips(receiver: Receiver, tmp_path: Path) -> None:
    """Nobody reads what a receiver says beside it: the notice was taken, and nobody waits for the rest."""
    receiver.answers = ["drip on"]
    began = monotonic()
    webhook(receiver, tmp_path, seconds=0.3).send(NOTICE)
    assert monotonic() - began < 3


def test_a_handshake_that_drips_is_not_waited_for(tmp_path: Path, canary: str) -> None:
    """It has its time as a whole, too."""
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = Thread(target=drip, args=(server, over), daemon=True)
        dripping.start()
        dead = Receiver(secret_of(canary), f"https://127.0.0.1:{server.getsockname()[1]}")
        began = monotonic()
        with pytest.raises(UnavailableError, match="no answer in time"):
            webhook(dead, tmp_path, seconds=0.3).send(NOTICE)
        took = monotonic() - began
        over.set()
        dripping.join()
    assert took < 3


def drip(server: socket.socket, over: Event) -> None:
    """Begin a record of TLS, and go on with it a byte at a time, for some seconds at most."""
    link, _ = server.accept()
    with link, suppress(OSError):
        link.sendall(b"\x16\x03\x03\x40\x00")
        for _ in range(100):
            link.sendall(b"\x02")
            if over.wait(0.05):
                return


def test_nobody_at_home_is_worth_another_try(tmp_path: Path, canary: str) -> None:
    """Refused, or a name that does not resolve."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for url in (f"https://127.0.0.1:{port}", "https://nowhere.invalid"):
        with pytest.raises(UnavailableError):
            webhook(Receiver(secret_of(canary), url), tmp_path).send(NOTICE)


def test_the_environment_names_no_proxy(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a .netrc add a login: what the configuration says is all there is."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    webhook(receiver, tmp_path).send(NOTICE)
    assert "authorization" not in receiver.headers[0]


@pytest.mark.parametrize(
    "secret", ["whsec_not base64!", "", "whsec_c2hvcnQ=", "whsec_" + "A" * 100, "whsec_!" + "A" * 32]
)
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    """With how to make one; it is not repeated."""
    with pytest.raises(ConfigError, match="the webhook's secret") as caught:
        key_of(Secret(secret or " "))
    assert "openssl rand" in caught.value.hint
    assert secret not in str(caught.value) or not secret


def test_the_checked_in_schema_is_that_of_a_notice() -> None:
    """``python -m tests.notify.schema`` writes it anew."""
    assert CHECKED_IN.read_text(encoding="utf-8") == schema()
    ADAPTER.validate_json(NOTICE.body)
