"""``pveum`` as far as the script uses it: words to a call of the API, as the tables of the real one say.

The names of its commands, what stands where, and that ``list`` and ``token add`` know ``--output-format json``, are
those of pve-access-control; what the calls do is the simulated PVE's business.
"""

from __future__ import annotations

import json
import socketserver
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

PROGRAM = """\
#!{python} -IS
import json, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect("{socket}")
link.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
code, out, err = json.load(link.makefile())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""
COMMANDS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "user list": ("GET", "/access/users", ()),
    "user add": ("POST", "/access/users", ("userid",)),
    "user modify": ("PUT", "/access/users/{userid}", ("userid",)),
    "user delete": ("DELETE", "/access/users/{userid}", ("userid",)),
    "user token add": ("POST", "/access/users/{userid}/token/{tokenid}", ("userid", "tokenid")),
    "user token remove": ("DELETE", "/access/users/{userid}/token/{tokenid}", ("userid", "tokenid")),
    "group list": ("GET", "/access/groups", ()),
    "group add": ("POST", "/access/groups", ("groupid",)),
    "group delete": ("DELETE", "/access/groups/{groupid}", ("groupid",)),
    "role list": ("GET", "/access/roles", ()),
    "role add": ("POST", "/access/roles", ("roleid",)),
    "role delete": ("DELETE", "/access/roles/{roleid}", ("roleid",)),
    "realm list": ("GET", "/access/domains", ()),
    "acl list": ("GET", "/access/acl", ()),
    "acl modify": ("PUT", "/access/acl", ("path",)),
    "acl delete": ("PUT", "/access/acl", ("path",)),
}


def understood(words: list[str]) -> tuple[str, str, dict[str, str]]:
    """Read a command line: method, path and parameters."""
    name = next(it for it in (" ".join(words[:3]), " ".join(words[:2])) if it in COMMANDS)
    method, path, places = COMMANDS[name]
    rest = words[len(name.split()) :]
    options = rest[len(places) :]
    given = dict(zip(places, rest, strict=False))
    given |= {key.removeprefix("--"): value for key, value in zip(options[::2], options[1::2], strict=True)}
    if name.startswith("acl ") and method == "PUT":
        given |= {"delete": str(int(name == "acl delete"))}
    in_path = {place: given.pop(place) for place in places if f"{{{place}}}" in path}
    return method, path.format(**in_path), given


@dataclass
class Root:
    """Whoever is root on a node: logs in once, and does commands."""

    url: str
    authority: Path
    password: str = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    def call(self, method: str, path: str, given: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
        """Call the API."""
        body = urlencode(given)
        url = f"{self.url}/api2/json{path}" + (f"?{body}" if method in ("GET", "DELETE") and body else "")
        data = body.encode() if method in ("POST", "PUT") else None
        request = Request(url, data=data, headers=self.headers, method=method)  # noqa: S310 - loopback
        context = ssl.create_default_context(cafile=str(self.authority))
        with urlopen(request, context=context) as answer:  # noqa: S310 - loopback
            return json.load(answer)["data"]

    def does(self, words: list[str]) -> tuple[int, str, str]:
        """Do one command; returns how it ends and what it prints. A refusal ends with 255, as there."""
        if not self.headers:
            made = self.call("POST", "/access/ticket", {"username": "root@pam", "password": self.password})
            cookie = f"PVEAuthCookie={made['ticket']}"
            self.headers |= {"Cookie": cookie, "CSRFPreventionToken": made["CSRFPreventionToken"]}
        method, path, given = understood(words)
        shown = given.pop("output-format", "")
        try:
            found = self.call(method, path, given)
        except HTTPError as refused:
            return 255, "", f"{refused.reason}\n"
        return 0, json.dumps(found, sort_keys=True, separators=(",", ":")) if shown == "json" else "", ""


@contextmanager
def on_path(root: Root, folder: Path) -> Iterator[None]:
    """Put the program into a folder; it passes its words on to this process, because to start is quick then."""

    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(json.dumps(root.does(json.loads(self.rfile.readline()))).encode())

    program = folder / "pveum"
    program.write_text(PROGRAM.format(python=sys.executable, socket=folder / "socket"), encoding="utf-8")
    program.chmod(0o755)
    with socketserver.ThreadingUnixStreamServer(str(folder / "socket"), Line) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield
        server.shutdown()
        thread.join()
