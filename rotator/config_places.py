"""The backends of a configuration and the places in them; what a plug-in complains of is told at the right line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from rotator.backend import Announces, Backend, ChecksKeys
from rotator.config_fields import Site, shape_of
from rotator.config_schema import PlacePart
from rotator.config_shape import Parts
from rotator.errors import ConfigError
from rotator.faults import Problem, suggestion
from rotator.model import Destination
from rotator.yaml_lines import Document, Loc

IMPLICIT = "file"
"""A backend of this name and type is there without being configured."""

OURS = ("backend", "preset", "fields", "canonical")
"""The keys of a destination that are not the backend's."""


class Findings:
    """Collects everything that is wrong, with where it stands."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []

    def add(self, loc: Loc, message: str, advice: str = "") -> None:
        """Note one more."""
        self.problems.append(self.document.problem(loc, message, advice))

    def add_error(self, loc: Loc, error: ConfigError) -> None:
        """Note every line of a plug-in's message, at the key that it begins with: ``path: must be absolute``."""
        for line in str(error).splitlines() or ["not valid"]:
            place, rest = self._place(loc, line)
            self.add(place, rest, error.hint)

    def _place(self, loc: Loc, line: str) -> tuple[Loc, str]:
        head, colon, rest = line.partition(": ")
        step: str | int = int(head) if head.isdecimal() else head
        return self._place((*loc, step), rest) if colon and self.document.node((*loc, step)) else (loc, line)


class Places:
    """The configured backends, and destinations made of the settings for them."""

    def __init__(self, findings: Findings, parts: Parts, find_backend: Callable[[str], type[Backend]]) -> None:
        self.backends: dict[str, Backend] = {}
        self.single_writer: set[str] = set()
        self._findings = findings
        self._find = find_backend
        self._named = parts.named_backends | {IMPLICIT}
        self._used_implicitly = IMPLICIT not in parts.named_backends
        for name, entry in parts.backends.items():
            if "type" not in entry.faulty:
                self._configure(name, entry.loc, entry.part.type, entry.part.model_extra or {})
            if entry.part.single_writer or "single_writer" in entry.faulty:
                self.single_writer.add(name)

    def _configure(self, name: str, loc: Loc, kind: str, settings: Mapping[str, Any]) -> None:
        if name == IMPLICIT and kind != IMPLICIT:
            self._findings.add((*loc, "type"), f"the backend {IMPLICIT} is another type", "give it another name")
        try:
            found = self._find(kind)
        except ConfigError as error:
            self._findings.add((*loc, "type"), str(error), error.hint)
            return
        try:
            self.backends[name] = found.configure(dict(settings))
        except ConfigError as error:
            self._findings.add_error(loc, error)

    def destination(self, place: PlacePart, loc: Loc, site: Site) -> Destination | None:
        """Make a destination of a place; None when it has none, which is then among the findings."""
        shape, faults = shape_of(place, site)
        for below, fault in faults:
            self._findings.add((*loc, *below), fault.message, fault.advice)
        found = self.locate(place.backend, place.model_extra or {}, loc)
        if found is None or faults:
            return found
        destination = replace(found, shape=shape)
        at = next((key for key in ("fields", "preset") if getattr(place, key)), "")
        self._check_keys(destination, (*loc, at) if at else loc)
        return destination

    def _check_keys(self, destination: Destination, loc: Loc) -> None:
        """Ask the backend whether all keys have room there, if it can tell."""
        backend, shape = self.backends[destination.backend], destination.shape
        if not isinstance(backend, ChecksKeys):
            return
        try:
            backend.check_keys(destination.location, [key for key, _ in shape.fields] or shape.keys)
        except ConfigError as error:
            self._findings.add_error(loc, error)
            return
        try:
            backend.check_keys(destination.location, shape.keys)
        except ConfigError:
            advice = "let the fields show id and secret, for example as {token}: then they can be read back alone"
            wish = "take canonical: true away"
            message = "there is no room for token_id and token_secret beside these fields"
            self._findings.add(loc, message, wish if shape.is_invertible else advice)

    def locate(self, name: str, settings: Mapping[str, Any], loc: Loc) -> Destination | None:
        """Make a destination of a backend's name and the settings for it."""
        if name not in self._named:
            self._findings.add((*loc, "backend"), "no such backend", suggestion(name, self._named))
            return None
        if name == IMPLICIT and self._used_implicitly:
            self._used_implicitly = False
            self._configure(IMPLICIT, loc, IMPLICIT, {})
        backend = self.backends.get(name)
        if backend is None:
            return None
        try:
            location, label = backend.locate(dict(settings))
        except ConfigError as error:
            self._findings.add_error(loc, _corrected(error, settings))
            return None
        audience = backend.audience(location) if isinstance(backend, Announces) else ()
        return Destination(name, location, label, audience=audience)

    def check_compare_and_set(self, destination: Destination) -> None:
        """Look whether a store may be written that cannot compare and set."""
        name = destination.backend
        if self.backends[name].traits.compare_and_set or name in self.single_writer:
            return
        advice = (
            "add single_writer: true if nothing else writes there; two rotators at once could then lock consumers out"
        )
        self._findings.add(("backends", name), "this store has no compare-and-set", advice)

    def close(self) -> None:
        """Let go of every backend, whichever breaks."""
        with ExitStack() as closing:
            for backend in self.backends.values():
                closing.callback(backend.close)


def _corrected(error: ConfigError, settings: Mapping[str, Any]) -> ConfigError:
    """Add what a backend cannot know: a key that it complains of may be one of ours with an error in it."""
    meant = [it for key in settings if key in str(error) for it in get_close_matches(key, OURS, n=1, cutoff=_CLOSE)]
    likely = [f"did you mean '{key}'?" for key in meant]
    return ConfigError(str(error), hint=" ".join([*likely, error.hint])) if likely else error


_CLOSE = 0.8
"""``secret`` and ``preset`` are not close."""
