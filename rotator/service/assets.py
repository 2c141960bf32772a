"""The files that the status page is made of: plain JavaScript, as it stands, from the package itself.

Not taken: a framework and a bundler. The page is one table that is drawn anew from one document; what a framework would
do for it are a few dozen lines, and what is served is what stands in the repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from importlib.resources import files

from rotator.service.web import Access, Answer, Asked, Route

FOLDER = "page"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""What the page may do: nothing but with files of ours, and no text ever becomes a script or a style."""
LOGIN = "login"


def routes() -> Mapping[str, Route]:
    """Return the page, the page to log in, and all that they are made of."""
    found = {it.name: it.read_bytes() for it in (files(__package__) / FOLDER).iterdir() if _kind(it.name)}
    parts = {f"/page/{name}": _shown(name, body, Access.PUBLIC) for name, body in found.items()}
    return {
        **{path: route for path, route in parts.items() if not path.endswith(".html")},
        "/": _shown("index.html", found["index.html"], Access.GUARDED, otherwise=LOGIN),
        f"/{LOGIN}": _shown("login.html", found["login.html"], Access.PUBLIC),
    }


def _shown(name: str, body: bytes, access: Access, otherwise: str = "") -> Route:
    answer = Answer(HTTPStatus.OK, body, _kind(name), (("Content-Security-Policy", POLICY),))

    def show(_asked: Asked) -> Answer:
        return answer

    return Route(show, access, otherwise=otherwise)


def _kind(name: str) -> str:
    return KINDS.get(f".{name.rpartition('.')[2]}", "")
