"""The Kubernetes API through the official client; the only module that knows ``kubernetes`` and the urllib3 below it.

What the client would do by itself and must not: urllib3 repeats requests three times by default (for a change that met
a closed connection too) and follows redirects with them: ``retries`` is off. It writes to the kubeconfig: not to ours.
It prints tokens and bodies at DEBUG: those loggers are mute for good. It waits for a program that logs in for ever:
``Program`` has an end. Exceptions and what is behind them carry tokens
and bodies (the client's the body, the kubeconfig's the user): none leaves this module.
"""

from __future__ import annotations

import http.client
import logging
import re
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import urllib3
from kubernetes import client
from kubernetes.config import exec_provider, kube_config
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.incluster_config import InClusterConfigLoader
from urllib3.connection import HTTPConnection, HTTPSConnection

from rotator.errors import RefusedError, RotatorError, UnauthenticatedError, UnavailableError
from rotator.model import Secret
from rotator_backends.kubernetes_answer import PLURALS, AbsentError, Answer, Call, Json, is_denied, taken, unanswered
from rotator_backends.kubernetes_settings import Auth

FIELD_MANAGER = "proxmox-token-rotator"
SERVICE_HOST, SERVICE_PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
TOKEN_FILE, AUTHORITY_FILE = "token", "ca.crt"
FOREIGN = (client.OpenApiException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)
"""All that a call raises: the client's own, urllib3's, http.client's, ssl's and sockets', pydantic's."""

_UNAUTHORIZED = 401
_kube_config: Any = kube_config  # has no types
_exec_provider: Any = exec_provider  # the same
_InClusterLoader: Any = InClusterConfigLoader
_LOUD = ("kubernetes.client.rest", "requests_oauthlib.oauth2_session")
_NAMES = {"Secret": "secret", "Deployment": "deployment", "StatefulSet": "stateful_set", "DaemonSet": "daemon_set"}
_VERBS = {"get": "read", "create": "create", "patch": "patch"}
_MISSING = re.compile(r"Expected (?P<what>key \S+|object with name \S+|all values|only one object)")
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
LOGIN_WAIT = 120.0
"""Seconds for a program of a kubeconfig that logs in, where nobody sits who could answer or end it."""


def _never(_record: logging.LogRecord) -> bool:
    return False


for _name in _LOUD:  # filters stay, whatever a later logging.config does to levels, handlers and `disabled`
    logging.getLogger(_name).addFilter(_never)


class Program(subprocess.Popen[str]):
    """A program that a kubeconfig logs in by (``exec``). One that hangs would hold up all that waits for this store."""

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:  # noqa: A002 - Popen's
        """Wait for its end. Raises: ``ConfigException`` when there is none, without its arguments."""
        is_watched = sys.stdout is not None and sys.stdout.isatty()
        try:
            return super().communicate(input, timeout or (None if is_watched else LOGIN_WAIT))
        except subprocess.TimeoutExpired:
            with self:  # which closes its pipes
                self.kill()
            raise ConfigException("exec: it does not end") from None


_exec_provider.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": Program})


class NotConnectedError(Exception):
    """No connection came about: nothing was sent. Not one of urllib3's, so that it passes through."""


def _connecting(connect: Callable[[], None]) -> None:
    why = ""
    try:
        connect()
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        why = _why(error)
    if why:
        raise NotConnectedError(why)


def _heard(response: urllib3.HTTPResponse, link: HTTPConnection) -> urllib3.HTTPResponse:
    """Hang up after what comes before an answer (1xx): the answer itself would be that of the next question."""
    if response.status < http.HTTPStatus.OK:
        link.close()
    return response


class _QuietHttp(HTTPConnection):
    """To ``kubectl proxy`` on this machine; says whether it failed before anything was sent."""

    debuglevel = 0  # or a global http.client.HTTPConnection.debuglevel prints our token and the secret

    def connect(self) -> None:
        _connecting(super().connect)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override] # as urllib3 itself has it
        return _heard(super().getresponse(), self)


class _QuietHttps(HTTPSConnection):
    """To an API server; the same."""

    debuglevel = 0

    def connect(self) -> None:
        _connecting(super().connect)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override] # as urllib3 itself has it
        return _heard(super().getresponse(), self)


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _QuietHttp


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _QuietHttps


def _why(error: BaseException) -> str:
    """Say why no connection came about, in words that hold nothing of what was to be sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"no TLS connection ({error.reason or type(error).__name__})"
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "its name does not resolve"
    if isinstance(error.__cause__, OSError):
        return _why(error.__cause__)
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError | TimeoutError):
        return "no connection in time"
    return (isinstance(error, OSError) and error.strerror and error.strerror.lower()) or type(error).__name__


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where this process finds a cluster: its environment, its home, the folder of a pod's service account."""

    environ: Mapping[str, str]
    home: Path
    account: Path

    @property
    def is_mounted(self) -> bool:
        """Say whether this is a pod with a service account."""
        return SERVICE_HOST in self.environ and (self.account / TOKEN_FILE).is_file()


@dataclass(frozen=True, slots=True)
class Access:
    """Which cluster, and how to log in to it."""

    auth: Auth
    surroundings: Surroundings
    kubeconfig: Path | None = None
    context: str | None = None

    @property
    def path(self) -> str:
        """Return the kubeconfig, or several with colons between, as kubectl finds them."""
        environ = self.surroundings.environ
        return str(self.kubeconfig or environ.get("KUBECONFIG") or self.surroundings.home / ".kube" / "config")

    def server(self) -> str:
        """Name the API server by host and port; without a readable kubeconfig by the context or the path."""
        if self.auth is Auth.IN_CLUSTER:
            environ = self.surroundings.environ
            host, port = environ.get(SERVICE_HOST, "in-cluster"), environ.get(SERVICE_PORT, "443")
            return _host(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}")
        with suppress(Exception):
            return _host(_server(self.path, self.context))
        return self.context or self.path

    def configuration(self) -> client.Configuration:
        """Read address and login anew. Raises: ``RefusedError``."""
        found: Any = client.Configuration()  # whose types know less than it holds
        fault = ""
        try:
            self._load(found)
        except Exception as error:  # noqa: BLE001 - the loaders let out whatever a wrong file brings about
            fault = _fault(error)
        if fault:
            raise RefusedError(f"{self._source}: {fault}", hint=self._hint)
        _check_encrypted(found, self._source)
        if urlsplit(found.host).scheme == "http":  # on this machine; a proxy of the environment would read the secrets
            found.proxy = None
        found.api_key = {name: _sendable(key, self._source) for name, key in found.api_key.items()}
        found.refresh_api_key_hook = None  # would read the login in the middle of a call; a 401 makes us do it
        found.retries = False  # urllib3 then repeats nothing at all, and raises errors as they are
        configured: client.Configuration = found
        return configured

    def _load(self, found: client.Configuration) -> None:
        if self.auth is Auth.IN_CLUSTER:
            account, environ = self.surroundings.account, dict(self.surroundings.environ)
            _InClusterLoader(str(account / TOKEN_FILE), str(account / AUTHORITY_FILE), environ=environ).load_and_set(
                found
            )
        else:
            _kube_config.load_kube_config(self.path, self.context, found, persist_config=False)

    @property
    def _source(self) -> str:
        where = f"service account in {self.surroundings.account}"
        return where if self.auth is Auth.IN_CLUSTER else f"kubeconfig {self.path}"

    @property
    def _hint(self) -> str:
        if self.auth is Auth.IN_CLUSTER:
            return "is this a pod, with automountServiceAccountToken not set to false?"
        return "name another file by kubeconfig, or another context; try `kubectl --kubeconfig FILE config view`"

    @property
    def login_hint(self) -> str:
        """Say what to do about a login that is not accepted."""
        if self.auth is Auth.IN_CLUSTER:
            return "the token was read again and is refused too: does the service account still exist?"
        context = f" --context {self.context}" if self.context else ""
        return f"log in again; `kubectl --kubeconfig {self.path}{context} auth whoami` tells who we are"


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc.removesuffix(":443") + parts.path.rstrip("/")


def _server(path: str, context: str | None) -> str:
    """Look up a context's server. Raises: whatever a wrong kubeconfig brings about."""
    merged: Any = _kube_config.KubeConfigMerger(path).config
    named = merged["contexts"].get_with_name(context or merged["current-context"])
    return str(merged["clusters"].get_with_name(named["context"]["cluster"])["cluster"]["server"])


def _fault(error: Exception) -> str:
    """Say what is wrong with a kubeconfig or a service account, without its words: those may hold a token."""
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    text = str(error)
    if "No configuration found" in text:
        return "there is no such file, or nothing in it"
    if found := _MISSING.search(text):
        return f"it lacks what was looked for ({found['what']})"
    known = ("Service host/port", "Service token file", "Service certification file", "Token file", "Cert file")
    told = next((text for start in known if text.startswith(start)), "")
    return told.rstrip(".").lower() or f"it cannot be understood ({type(error).__name__})"


def _check_encrypted(found: client.Configuration, source: str) -> None:
    parts = urlsplit(found.host)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise RefusedError(f"{source}: the server's address is not https", hint="secrets are not sent in the clear")
    if not found.verify_ssl:
        hint = "put certificate-authority-data in the place of insecure-skip-tls-verify"
        raise RefusedError(f"{source}: the server's certificate would not be checked", hint=hint)


def _sendable(login: str, source: str) -> str:
    """Return a login without the newline that a file may end with, as kubectl reads it; refuse what is no header."""
    text = login.strip()
    if not (text.isascii() and text.isprintable()):
        raise RefusedError(f"{source}: its token cannot be sent", hint="a token is one word of plain characters")
    return text


class Cluster:
    """One API server. Several threads may use it; connects at the first call."""

    def __init__(self, access: Access, timeout: timedelta) -> None:
        self.server = access.server()
        self._access = access
        self._timeout = timeout.total_seconds()
        self._api: client.ApiClient | None = None
        self._lock = Lock()

    def find(self, call: Call) -> Json | None:
        """Get an object, None where there is none. Raises: our errors."""
        try:
            return self.call(call)
        except AbsentError:
            return None

    def call(self, call: Call, body: Json | None = None) -> Json:
        """Make one call, once; only when the login is not accepted, once more with one that is read anew.

        Returns the object. Raises: our errors.
        """
        api = self._client(None)
        answer = self._exchange(api, call, body)
        if answer.status == _UNAUTHORIZED:  # nothing happened; a service account's token is replaced every hour
            api = self._client(api)
            answer = self._exchange(api, call, body)
        if answer.status == _UNAUTHORIZED:
            raise UnauthenticatedError(f"{self.server} does not accept our login", hint=self._access.login_hint)
        return taken(replace(call, hidden=call.hidden | _tokens(api)), answer)

    def may(self, call: Call) -> bool:
        """Ask whether RBAC would allow a call (SelfSubjectAccessReview); who gets no answer may try."""
        group, plural = PLURALS[call.kind]
        name = {} if call.verb == "create" else {"name": call.name}
        wanted = {"namespace": call.namespace, "verb": call.verb, "group": group, "resource": plural, **name}
        api = client.AuthorizationV1Api(self._client(None))
        review: Any = {"spec": {"resourceAttributes": wanted}}
        with suppress(*FOREIGN, NotConnectedError):
            return not is_denied(_answer(api.create_self_subject_access_review(review, **self._options())))
        return True

    def close(self) -> None:
        """Let go of connections. Repeat: nothing happens; a later call connects again."""
        with self._lock:
            if self._api is not None:
                self._api.rest_client.pool_manager.clear()
            self._api = None

    def _client(self, refused: client.ApiClient | None) -> client.ApiClient:
        """Return the client, a new one if it is the one whose login was refused."""
        with self._lock:
            if self._api is None or self._api is refused:
                self._api = _made(self._access.configuration(), self.server)
                pools = {"http": _HttpPool, "https": _HttpsPool}
                self._api.rest_client.pool_manager.pool_classes_by_scheme = pools
            return self._api

    def _options(self) -> dict[str, Any]:
        return {"_preload_content": False, "_request_timeout": (self._timeout, self._timeout)}

    def _exchange(self, api: client.ApiClient, call: Call, body: Json | None) -> Answer:
        """Send a call and read the whole answer, whatever its status. Raises: our errors."""
        try:
            return _answer(_method(api, call)(**_arguments(call, body), **self._options()))
        except NotConnectedError as error:
            known: RotatorError = self._unreached(call, str(error))
        except client.ApiException as error:
            if error.status:
                return _refusal(error)
            known = self.broken(error, call)
        except FOREIGN as error:
            known = self.broken(error, call)
        raise known

    def _unreached(self, call: Call, why: str) -> UnavailableError:
        hint = "nothing was sent; is the API server up, is its address right, and does a firewall let us through?"
        return UnavailableError(f"{call}: {why}", hint=hint)

    def broken(self, error: BaseException, call: Call) -> RotatorError:
        """Name what is known when a request may have been sent and no whole answer came."""
        too_late = isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError)
        return unanswered(
            call,
            f"no whole answer within {self._timeout:g} s"
            if too_late
            else f"the connection broke before the answer was whole ({type(error).__name__})",
        )


def _made(configuration: client.Configuration, server: str) -> client.ApiClient:
    """Make what connects. Raises: ``RefusedError`` when it cannot by what the environment says."""
    why = ""
    try:
        return client.ApiClient(configuration)
    except Exception as error:  # noqa: BLE001 - of urllib3's many kinds one is an AssertionError
        why = type(error).__name__
    hint = "HTTPS_PROXY and a cluster's proxy-url must be whole, such as http://proxy.example.com:3128"
    raise RefusedError(f"no connection to {server} can be prepared ({why})", hint=hint)


def _tokens(api: client.ApiClient) -> frozenset[str]:
    """Return the bearer tokens that were shown."""
    return frozenset(key.split()[-1] for key in api.configuration.api_key.values() if key.strip())


def _method(api: client.ApiClient, call: Call) -> Any:  # noqa: ANN401 - one of many generated methods
    group = client.CoreV1Api(api) if call.kind == "Secret" else client.AppsV1Api(api)
    return getattr(group, f"{_VERBS[call.verb]}_namespaced_{_NAMES[call.kind]}")


def _arguments(call: Call, body: Json | None) -> dict[str, Any]:
    """Name the arguments. A patch that is a dict goes out as a strategic merge patch (``rest.py`` of the client)."""
    return {
        "namespace": call.namespace,
        **({} if call.verb == "create" else {"name": call.name}),
        **({} if call.verb == "get" else {"body": body, "field_manager": FIELD_MANAGER}),
        **({"dry_run": "All"} if call.is_dry_run else {}),
    }


def _answer(reply: Any) -> Answer:  # noqa: ANN401 - urllib3's, through the client's untyped hands
    content = Secret(reply.data.decode("utf-8", "replace"))
    return Answer(reply.status, content, {name.lower(): value for name, value in reply.headers.items()})


def _refusal(error: client.ApiException) -> Answer:
    headers: Any = error.headers or {}
    body: Any = error.body or ""  # bytes in release 31 of the client, whatever its types say
    content = Secret(body.decode("utf-8", "replace") if isinstance(body, bytes) else body)
    return Answer(int(error.status or 0), content, {name.lower(): value for name, value in headers.items()})
