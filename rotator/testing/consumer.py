"""A consumer double: whoever reads a token from a store and logs in with it, again and again.

What the whole product promises is that this never fails; the demo and the tests watch it.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Sequence
from datetime import timedelta
from threading import Event, Lock, Thread
from urllib.parse import urlsplit

_TIMEOUT = 10.0
_OK = 200


class Consumer:
    """Logs in with what it reads, at the nodes in turn; a node that is down is passed over, a refusal is a failure.

    ``read`` returns token id and secret as a store holds them at that moment; when it raises, that is a failure too.
    ``ca`` is the certificate authority in PEM, as ``SimulatedPve.ca_pem`` has it.
    """

    def __init__(self, read: Callable[[], tuple[str, str]], urls: Sequence[str], ca: bytes) -> None:
        self.logins = 0
        self.failed = 0
        self.last_failure = ""
        """Why the last login failed, without anything secret."""
        self._read = read
        self._urls = list(urls)
        self._tls = ssl.create_default_context(cadata=ca.decode("ascii"))
        self._lock = Lock()
        self._over = Event()
        self._thread: Thread | None = None

    def try_once(self) -> bool:
        """Read the token, ask one node for its version, and count how it went."""
        try:
            failure = self._log_in(*self._read())
        except Exception as error:  # noqa: BLE001 - whatever keeps a consumer from its token counts
            failure = type(error).__name__
        with self._lock:
            self.logins += not failure
            self.failed += bool(failure)
            self.last_failure = failure or self.last_failure
        return not failure

    def start(self, interval: timedelta) -> None:
        """Log in all the time, from a thread, until ``stop``. Repeat: nothing happens."""
        if self._thread is None:
            self._over.clear()
            self._thread = Thread(target=self._repeat, args=(interval,), name="consumer", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it. Repeat: nothing happens."""
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None

    def _repeat(self, interval: timedelta) -> None:
        while not self._over.is_set():
            self.try_once()
            self._over.wait(interval.total_seconds())

    def _log_in(self, token: str, secret: str) -> str:
        first = (self.logins + self.failed) % len(self._urls)
        failure = "no node answers"
        for url in self._urls[first:] + self._urls[:first]:
            try:
                return self._ask(url, f"PVEAPIToken={token}={secret}")
            except ConnectionRefusedError:
                continue
            except (OSError, http.client.HTTPException) as error:
                failure = type(error).__name__
        return failure

    def _ask(self, url: str, authorization: str) -> str:
        link = http.client.HTTPSConnection(urlsplit(url).netloc, timeout=_TIMEOUT, context=self._tls)
        try:
            link.request("GET", "/api2/json/version", headers={"Authorization": authorization})
            answer = link.getresponse()
            answer.read()
            return "" if answer.status == _OK else f"{answer.status} {answer.reason}"
        finally:
            link.close()
