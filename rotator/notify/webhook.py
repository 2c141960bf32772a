"""A webhook as Standard Webhooks has it (standardwebhooks.com): the receiver can tell who sent it, when, and if twice.

``webhook-id`` is the notice's and the same each time it is sent; ``webhook-timestamp`` is when this try was made;
``webhook-signature`` is ``v1,`` and the HMAC-SHA256 over ``id.timestamp.body``, in base64.

``http.client`` and not requests, for the reasons of ``proxmox_wire``: no redirect is followed, no proxy taken from the
environment, no ``.netrc`` read. TLS is verified always.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Timer
from urllib.parse import urlsplit

import rotator
from rotator.errors import ConfigError, RefusedError, UnavailableError
from rotator.model import Secret
from rotator.notify.notice import Notice
from rotator.settings_telling import WebhookSettings

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes of a secret, as the standard says."""
ENOUGH = 4096
"""Bytes of an answer that are read; nothing in it counts but its status."""
AGAIN = frozenset({408, 425, 429})
"""Refusals that another try may change."""
OK, REDIRECT, REFUSED, BROKEN = 200, 300, 400, 500


@dataclass(frozen=True)
class Webhook:
    """Posts notices. ``ask`` reads the secret anew for each, as it may have been replaced."""

    settings: WebhookSettings
    ask: Callable[[], Secret]
    now: Callable[[], datetime]

    def send(self, notice: Notice) -> None:
        """Post it, once.

        Repeat: the receiver knows by its id that it is the same. Raises: ``UnavailableError`` when another try may do
        better; ``RefusedError``, ``ConfigError`` and what reading the secret raises when not.
        """
        headers = signed(notice, key_of(self.ask()), self.now())
        parts = urlsplit(self.settings.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        seconds = self.settings.timeout.total_seconds()
        connection = http.client.HTTPSConnection(
            str(parts.hostname), parts.port or 443, timeout=seconds, context=self._context()
        )
        connection.set_debuglevel(0)  # or a global http.client.HTTPConnection.debuglevel prints the signature
        try:
            connection.connect()
            with bounded(connection.sock, seconds):
                connection.request("POST", target, notice.body, headers)
                answer = connection.getresponse()
                status = answer.status
                answer.read(ENOUGH)
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"{parts.hostname}: {told(error)}") from None
        finally:
            connection.close()
        judge(status, str(parts.hostname))

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.settings.ca)
        except OSError as error:
            raise ConfigError(f"{self.settings.ca} cannot be used: {error.strerror or 'no certificates'}") from None


@contextmanager
def bounded(link: socket.socket, seconds: float) -> Iterator[None]:
    """Hang up when an exchange takes too long as a whole, however slowly it drips.

    The socket, and not its connection: that lets go of it before the answer's body is read. And ``shutdown`` as plain
    sockets have it: that of TLS would let what is being sent meanwhile go in the clear. Raises: ``TimeoutError``.
    """
    over = Event()

    def hang_up() -> None:
        over.set()
        with suppress(OSError):
            socket.socket.shutdown(link, socket.SHUT_RDWR)

    timer = Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if over.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


def key_of(secret: Secret) -> bytes:
    """Read a secret: base64, with ``whsec_`` before it or without. Raises: ``ConfigError``."""
    hint = "make one with: echo whsec_$(openssl rand -base64 32)"
    try:
        key = base64.b64decode(secret.reveal().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("the webhook's secret is not whsec_ and base64", hint=hint) from None
    if not SHORTEST <= len(key) <= LONGEST:
        message = f"the webhook's secret has {len(key)} bytes, and not {SHORTEST} to {LONGEST}"
        raise ConfigError(message, hint=hint)
    return key


def signed(notice: Notice, key: bytes, now: datetime) -> dict[str, str]:
    """Make the headers of one try."""
    stamp = str(int(now.timestamp()))
    text = b".".join((notice.id.encode(), stamp.encode(), notice.body))
    signature = base64.b64encode(hmac.digest(key, text, "sha256")).decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": f"proxmox-token-rotator/{rotator.__version__}",
        "webhook-id": notice.id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature}",
        "Connection": "close",
    }


def judge(status: int, host: str) -> None:
    """Say what an answer means. Raises: ``UnavailableError``, ``RefusedError``."""
    if OK <= status < REDIRECT:
        return
    if status >= BROKEN or status < OK or status in AGAIN:  # below 200 it is none yet
        raise UnavailableError(f"{host} answered {status}")
    if REDIRECT <= status < REFUSED:
        raise RefusedError(f"{host} answered {status}, and no redirect is followed", hint="write where it really is")
    raise RefusedError(f"{host} answered {status}", hint="does it know the path and the secret?")


def told(error: Exception) -> str:
    """Say in words why nothing came back; nothing of what was sent is in it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "the name does not resolve"
    return getattr(error, "strerror", None) or type(error).__name__
