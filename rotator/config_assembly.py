"""From the text of the configuration to its settings, step by step.

``yaml_lines`` (text to data with lines), ``config_shape`` (data to parts: which keys, which kinds of values),
``config_places`` (backends, destinations), ``config_clusters``, ``config_credentials``, ``config_service``,
``config_telling``, ``config_crosses`` (what parts must fulfil together), ``settings`` (the result).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from rotator.backend import Backend
from rotator.config_clusters import Clusters
from rotator.config_credentials import Credentials, Settled, knowing_others
from rotator.config_crosses import Crosses
from rotator.config_fields import site_of
from rotator.config_places import Findings, Places
from rotator.config_service import settle_service
from rotator.config_shape import Parts, credentials_of, parts_of
from rotator.config_telling import Telling
from rotator.faults import InvalidConfigError, Problem
from rotator.secrecy import known
from rotator.settings import Settings
from rotator.yaml_lines import Document, read_document


def assemble(path: Path, *, find_backend: Callable[[str], type[Backend]], environ: Mapping[str, str]) -> Settings:
    """Read and check the whole configuration; its words are hidden nowhere from now on.

    Raises: ``InvalidConfigError`` with every error.
    """
    with _uncollected():
        document, problems = parse_text(path, read_text(path))
        parts, more = parts_of(document)
        findings = Findings(document)
        findings.problems += [*problems, *more]
        places = Places(findings, parts, find_backend)
        settings = _settle(path, parts, findings, places, environ)
    if findings.problems:
        with suppress(Exception):  # a backend that breaks now hides nothing that is to be corrected
            places.close()
        raise InvalidConfigError(path, findings.problems)
    known.spare(settings.words)
    return settings


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile: there is none, and looking takes a third of the time at 10,000 credentials."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def read_text(path: Path) -> str:
    """Read the file. Raises: ``InvalidConfigError``."""
    try:
        return path.read_bytes().decode()
    except OSError as error:
        problem = Problem(0, 0, "", f"cannot be read: {error.strerror}", "name the file with --config")
        raise InvalidConfigError(path, [problem]) from None
    except UnicodeDecodeError:
        raise InvalidConfigError(path, [Problem(0, 0, "", "not UTF-8", "save it as UTF-8")]) from None


def parse_text(path: Path, text: str) -> tuple[Document, list[Problem]]:
    """Read the text as YAML, with what is wrong with it as such.

    Raises: ``InvalidConfigError`` when there is nothing to go on with.
    """
    document, problems = read_document(text)
    if document is None:
        raise InvalidConfigError(path, problems)
    return document, problems


def _settle(path: Path, parts: Parts, findings: Findings, places: Places, environ: Mapping[str, str]) -> Settings:
    makes_clusters = Clusters(findings, places, environ)
    settled = {name: makes_clusters.settle(name, part) for name, part in parts.clusters.items()}
    clusters = {name: cluster for name, cluster in settled.items() if cluster}
    sites = {name: site_of(name, cluster.part) for name, cluster in parts.clusters.items()}
    makes_credentials = Credentials(findings, places, parts.defaults, parts.owner, sites)
    telling = Telling(findings, makes_clusters.reference, parts.notify, parts.defaults)
    credentials: list[Settled] = []
    for part, problems in credentials_of(findings.document):
        findings.problems += problems
        if part:
            credentials.append(makes_credentials.settle(part))
            telling.take(part)
    service = settle_service(findings, parts.service, makes_clusters.reference)
    Crosses(findings, clusters, parts.named_clusters).check(credentials)
    return Settings(
        path=path,
        owner=parts.owner,
        backends=MappingProxyType(places.backends),
        clusters=MappingProxyType(clusters),
        credentials=knowing_others([one.credential for one in credentials], clusters),
        single_writer=frozenset(places.single_writer),
        service=service,
        telling=telling.settle(parts.audit),
    )
