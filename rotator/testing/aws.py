"""Secrets Manager on loopback: moto in server mode behind a front that is as strict as AWS, and can be disturbed.

::

    with SimulatedAws() as aws:
        AwsBackend.configure({"region": "eu-west-1", "endpoint_url": aws.url})
        aws.intercept = lambda call: Refuse("ThrottlingException") if call.action.endswith(":PutSecretValue") else None

One request is handled at a time, because moto looks and acts in two steps; what else moto does otherwise than AWS is
in ``aws_moto``. moto's applications are asked directly: its dispatcher lists moto's folder for each request, which is
half of the time. Only tests import this module: it needs moto, which the product does not depend on.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from moto.secretsmanager.models import secretsmanager_backends
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

from rotator.testing.aws_moto import CURRENT, Outcome, error, perform
from rotator.testing.aws_policy import Statement, allows, needs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ACCOUNT = "123456789012"
_TARGET = "secretsmanager."
_SCOPE = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/")
_JSON = "application/x-amz-json-1.1"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as AWS would log it."""

    action: str
    """As in a policy: ``secretsmanager:PutSecretValue``."""
    region: str
    wish: Mapping[str, Any] = field(repr=False)
    """The parameters, the secret among them."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with an error instead; or, ``after`` it was done, although it was."""

    code: str
    message: str = ""
    status: int = HTTPStatus.BAD_REQUEST
    after: bool = False


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection without an answer."""

    after: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """Never answer: hold the connection until the simulation ends."""

    after: bool = False


@dataclass(frozen=True, slots=True)
class Garbage:
    """Answer with what is no answer of AWS's."""

    after: bool = False
    body: bytes = b"<html>not AWS"


Fault = Refuse | HangUp | Silence | Garbage


class _Handler(MotoRequestHandler):
    """Writes no log of requests: ``SimulatedAws.calls`` is one."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class SimulatedAws:
    """One endpoint for Secrets Manager and STS. ``intercept`` and ``policy`` may be assigned at any time."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.intercept: Callable[[Call], Fault | None] | None = None
        self.policy: Iterable[Statement] | None = None
        """What the caller may do; None: everything."""
        self._secrets = create_backend_app("secretsmanager")
        self._sts = create_backend_app("sts")
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Return the endpoint, ``http://127.0.0.1:port``."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def actions(self) -> list[str]:
        """List the actions that were called, in order."""
        return [call.action for call in self.calls]

    def text(self, region: str, name: str) -> str | None:
        """Look at the current value of a secret, without a call; None where there is none."""
        with self._lock:
            found = secretsmanager_backends[ACCOUNT][region].secrets.get(name)
            versions = found.versions.values() if found and not found.is_deleted() else ()
            return next((it["secret_string"] for it in versions if CURRENT in it["version_stages"]), None)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        call = called(environ, body)
        self.calls.append(call)
        fault = self.intercept(call) if self.intercept else None
        if fault is None:
            return self._answered(environ, body, call)(environ, start_response)
        if fault.after:
            self._answered(environ, body, call)
        return self._disturbed(fault, call, environ, start_response)

    def _answered(self, environ: WSGIEnvironment, body: bytes, call: Call) -> _Reply:
        with self._lock:
            if not call.action.startswith("secretsmanager:"):
                return _Reply.of(self._sts, _with_body(environ, body))
            operation = call.action.partition(":")[2]
            denied = self._denied(environ, call, operation)
            outcome = denied or perform(operation, call.wish, self._asker(environ))
            return _Reply.json(outcome)

    def _asker(self, environ: WSGIEnvironment) -> Callable[[str, Mapping[str, Any]], Outcome]:
        def ask(operation: str, wish: Mapping[str, Any]) -> Outcome:
            inner = _with_body(environ, json.dumps(wish).encode())
            inner["HTTP_X_AMZ_TARGET"] = _TARGET + operation
            reply = _Reply.of(self._secrets, inner)
            return Outcome(reply.status, json.loads(reply.body or b"{}"))

        return ask

    def _denied(self, environ: WSGIEnvironment, call: Call, operation: str) -> Outcome | None:
        if self.policy is None:
            return None
        name = call.wish.get("SecretId") or call.wish["Name"]
        known = self._asker(environ)("DescribeSecret", {"SecretId": name}).content
        arn = known.get("ARN") or f"arn:aws:secretsmanager:{call.region}:{ACCOUNT}:secret:{name}-abcdef"
        key = known.get("KmsKeyId") or call.wish.get("KmsKeyId", "")
        for action, resource in needs(operation, arn, key, tags=bool(call.wish.get("Tags"))):
            if not allows(self.policy, action, resource):
                return error("AccessDeniedException", _sentence(action, resource))
        return None

    def _disturbed(
        self, fault: Fault, call: Call, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        match fault:
            case Refuse(code, message, status):
                return _refusal(call, code, message, status)(environ, start_response)
            case Garbage():
                return _Reply(200, [("Content-Type", _JSON)], fault.body)(environ, start_response)
            case Silence():
                self._ending.wait()
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError


def called(environ: WSGIEnvironment, body: bytes) -> Call:
    """Read what is asked for: Secrets Manager takes JSON, STS takes a form."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    region = scope["region"] if scope else ""
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target.startswith(_TARGET):
        return Call(f"secretsmanager:{target.removeprefix(_TARGET)}", region, json.loads(body))
    form = {key: values[0] for key, values in parse_qs(body.decode()).items()}
    return Call(f"sts:{form.get('Action', '')}", region, form)


def _with_body(environ: WSGIEnvironment, body: bytes) -> WSGIEnvironment:
    """Copy a request with another body; what moto has noted in the original stays there."""
    kept = {key: value for key, value in environ.items() if not key.startswith("werkzeug.request")}
    return {**kept, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}


def _sentence(action: str, resource: str) -> str:
    if action.startswith("kms:"):
        return "Access to KMS is not allowed"
    return (
        f"User: arn:aws:iam::{ACCOUNT}:user/rotate is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @classmethod
    def json(cls, outcome: Outcome) -> Self:
        return cls(outcome.status, [("Content-Type", _JSON)], json.dumps(outcome.content).encode())

    @classmethod
    def of(cls, app: Any, environ: WSGIEnvironment) -> Self:  # noqa: ANN401 - moto's application has no type
        chunks, status, headers = run_wsgi_app(app, environ, buffered=True)
        kept = [(key, value) for key, value in headers if key.lower() != "content-length"]
        return cls(int(status.split()[0]), kept, b"".join(chunks))

    def __call__(self, _environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        length = ("Content-Length", str(len(self.body)))
        start_response(f"{self.status} {HTTPStatus(self.status).phrase}", [*self.headers, length])
        return [self.body]


def _refusal(call: Call, code: str, message: str, status: int) -> _Reply:
    """Make an error the way its service does: STS speaks XML."""
    if not call.action.startswith("sts:"):
        return _Reply.json(error(code, message, status))
    text = (
        f"<ErrorResponse><Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error></ErrorResponse>"
    )
    return _Reply(status, [("Content-Type", "text/xml")], text.encode())
