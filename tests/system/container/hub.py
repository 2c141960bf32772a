"""A registry on loopback in the place of Docker Hub, from which nothing can be pulled: it has what others are built on.

Debian's ``docker-registry`` was not taken: images are pushed to it, compressed, which takes longer than to build ours.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO

KINDS = "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
"""What a layer is called; one that is not compressed is taken, too."""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Hub(ThreadingHTTPServer):
    """A registry with images of one layer, for a daemon that is told of it as a mirror."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.held: dict[str, tuple[str, bytes | Path]] = {"/v2/": ("application/json", b"{}")}

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"

    def offer(self, name: str, tag: str, layer: Path) -> None:
        """Have an image with that layer, a tar archive."""
        with layer.open("rb") as opened:
            digest = f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
        machine = platform.machine()
        root = {"type": "layers", "diff_ids": [digest]}
        config = {"architecture": ARCHITECTURES.get(machine, machine), "os": "linux", "config": {}, "rootfs": root}
        kind, of_config = KINDS
        held = self._hold(f"/v2/{name}/blobs", of_config, json.dumps(config).encode())
        self.held[f"/v2/{name}/blobs/{digest}"] = (LAYER, layer)
        layers = [{"mediaType": LAYER, "size": layer.stat().st_size, "digest": digest}]
        whole = {"schemaVersion": 2, "mediaType": kind, "config": held, "layers": layers}
        manifest = self._hold(f"/v2/{name}/manifests", kind, json.dumps(whole).encode())
        self.held[f"/v2/{name}/manifests/{tag}"] = self.held[f"/v2/{name}/manifests/{manifest['digest']}"]

    def _hold(self, where: str, kind: str, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.held[f"{where}/{digest}"] = (kind, content)
        return {"mediaType": kind, "size": len(content), "digest": digest}


class _Asked(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        """Say what is there."""
        with self._found():
            pass

    def do_GET(self) -> None:
        """Give what is there."""
        with self._found() as content:
            shutil.copyfileobj(content, self.wfile)

    def _found(self) -> BinaryIO:
        kind, content = self.server.held.get(self.path, ("application/json", b""))
        opened = content.open("rb") if isinstance(content, Path) else io.BytesIO(content)
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        self.send_response(200 if size else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        if kind in KINDS and isinstance(content, bytes):
            self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(content).hexdigest()}")
        self.end_headers()
        return opened

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def hub() -> Iterator[Hub]:
    """Run a registry."""
    with Hub() as made:
        Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()
