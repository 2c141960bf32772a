"""The configuration of a set-up: one that is there and says that it was made here, or one that would be written."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rotator import config, registry
from rotator.cli.init_questions import Given, use_of
from rotator.config_values import parse_endpoint
from rotator.errors import ConfigError
from rotator.faults import InvalidConfigError, InvalidValueError
from rotator.model import Destination
from rotator.references import is_text
from rotator.settings import ClusterSettings, RecordOperator, Settings
from rotator.setup import files
from rotator.setup.answers import Answers, things_of
from rotator.setup.config_text import SCHEMA_FILE, config_text
from rotator.setup.journal import Journal, Noted, digest_of
from rotator.setup.operator_place import OperatorPlace
from rotator.setup.things import Entry


@dataclass(frozen=True)
class Draft:
    """A configuration: its text with the journal, and what it comes to."""

    path: Path
    text: str
    settings: Settings
    journal: Journal
    is_new: bool

    @property
    def cluster(self) -> ClusterSettings:
        """The cluster that is set up. Raises: ``ConfigError`` when the file calls it otherwise by now."""
        found = self.settings.clusters.get(self.journal.cluster)
        if found is None:
            raise ConfigError(
                f"{self.path} has no cluster {self.journal.cluster} any more, which `rotate init` set up",
                hint="correct the name in the line that begins with '# init: for'",
            )
        return found

    @property
    def operator(self) -> Destination:
        """Where the operator's token is kept. Raises: ``ConfigError`` when it is no record any more."""
        operator = self.cluster.operator
        if not isinstance(operator, RecordOperator):
            raise ConfigError(
                f"the operator of {self.cluster.name} in {self.path} is no record any more",
                hint="`rotate init` looks after operators whose token is in a record",
            )
        return operator.destination

    @property
    def place(self) -> OperatorPlace:
        """The same with its backend."""
        return OperatorPlace(self.settings.backends[self.operator.backend], self.operator)

    def close(self) -> None:
        """Let go of the stores."""
        for backend in self.settings.backends.values():
            backend.close()


def new_draft(path: Path, answers: Answers) -> Draft:
    """Make a configuration of answers, and check it as any other. Raises: ``ConfigError``; ``RefusedError``."""
    things = tuple(Noted(thing, is_made=False) for thing in things_of(answers))
    text = config_text(answers)
    made = tuple(str(it) for it in own_files(path, answers.operator_place) if not files.is_there(it))
    if unfit := next((it for it in made if it.splitlines() != [it] or not is_text(it)), None):
        message = f"these answers make no configuration; nothing was changed: no line of it can hold the name {unfit!a}"
        raise ConfigError(message, hint="name another folder with --config, or another place")
    journal = Journal(answers.cluster, answers.name, things, digest_of(text), made)
    return Draft(path, text, checked(text), journal, is_new=True)


def own_files(path: Path, place: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the files that are made beside the configuration: what an editor reads, and the operator's record."""
    yield path.with_name(SCHEMA_FILE)
    record = place.get("path")
    if "backend" not in place and isinstance(record, str) and Path(record).is_absolute():
        yield Path(record)


@cache
def schema_text() -> str:
    """Write what an editor reads."""
    return json.dumps(config.schema(), indent=2, ensure_ascii=False) + "\n"


def checked(text: str) -> Settings:
    """Read a configuration that is in no file yet. Raises: ``ConfigError`` that lists every mistake."""
    with tempfile.TemporaryDirectory(prefix="rotate-init-") as folder:
        path = Path(folder) / "rotate.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            return config.load(path, find_backend=registry.find, environ=os.environ)
        except InvalidConfigError as error:
            faults = "".join(f"\n  {it}{f': {it.advice}' if it.advice else ''}" for it in error.problems)
            raise ConfigError(f"these answers make no configuration; nothing was changed{faults}") from None


def existing_draft(path: Path, text: str, given: Given) -> Draft:
    """Read a configuration that is there. Raises: ``ConfigError`` when it was not made here, or otherwise."""
    journal = Journal.read(text)
    if journal is None:
        raise ConfigError(
            f"{path} is there and was not made by `rotate init`; it was left alone",
            hint="name another one with --config",
        )
    settings = config.load(path, find_backend=registry.find, environ=os.environ)
    draft = Draft(path, text, settings, journal, is_new=False)
    if differing := list(contradictions(given, draft)):
        raise ConfigError(
            f"{path} was set up otherwise than {', '.join(differing)} would; nothing was changed",
            hint="leave these options out to go on with it, or name another file with --config",
        )
    return draft


def contradictions(given: Given, draft: Draft) -> Iterator[str]:
    """Yield the options that say something else than the configuration."""
    journal, cluster = draft.journal, draft.cluster
    said: dict[str, tuple[str | None, set[str | None]]] = {
        "--owner": (given.owner, {draft.settings.owner}),
        "--cluster": (given.cluster, {journal.cluster}),
        "--name": (given.name, {journal.credential}),
        "--user": (given.user, {journal.managed}),
        "--operator": (given.operator, {journal.operator.userid}),
        "--group": (given.group, {it.words()[1] for it in journal.wanted if it.words()[0] == "group"}),
        "--role": (given.role, {it.words()[1] for it in journal.wanted if it.words()[0] == "role"}),
        "--fingerprint": (_bare(given.fingerprint), {_bare(cluster.fingerprint)}),
    }
    yield from (option for option, (value, there) in said.items() if value is not None and value not in there)
    try:
        if not {parse_endpoint(it) for it in given.endpoints} <= set(cluster.endpoints):
            yield "--endpoint"
        words = [*([given.use] if given.use else []), *given.grants]
        wanted = {Entry(it.path, it.role, journal.managed) for it in use_of(words).grants} if words else set()
    except InvalidValueError as error:
        raise ConfigError(f"{error.message}; {error.advice}") from None
    if not wanted <= set(journal.wanted):
        yield "--use or --grant"


def _bare(fingerprint: str | None) -> str | None:
    return fingerprint.replace(":", "").upper() if fingerprint else None


def write(draft: Draft, journal: Journal) -> None:
    """Write the configuration with its journal. Raises: ``ConfigError``."""
    text = journal.put_into(draft.text)
    (files.create if draft.is_new else files.rewrite)(draft.path, text)
