"""What ``rotate init`` has to know: from its options, else from whoever is there, else from what is usual."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml

from rotator import registry
from rotator.cli.asking import Asker, Terminal
from rotator.config_values import parse_base, parse_endpoint, parse_group, parse_name, parse_role, parse_userid
from rotator.errors import ConfigError, RefusedError, RotatorError, UnavailableError
from rotator.faults import InvalidValueError, suggestion
from rotator.model import Grant
from rotator.setup.answers import OPERATOR, Answers, check_managed
from rotator.setup.present import Present
from rotator.setup.trust import Met, meet, trust_of
from rotator.setup.uses import USES, Use, parse_grant

T = TypeVar("T")
FILE = "file"
STAND_IN = "not-asked-yet"
"""The name of a credential while nobody has been asked for one."""
CHECK_IT = "on the node: openssl x509 -noout -fingerprint -sha256 -in /etc/pve/local/pve-ssl.pem"
PARSED: Mapping[str, Callable[[str], str]] = {"group": parse_group, "role": parse_role, "operator": parse_userid}
"""What is nowhere in the configuration, which finds all else that is wrong."""
PLACES: Mapping[str, Callable[[Path, str], dict[str, Any]]] = {
    FILE: lambda folder, name: {"path": str(folder / name)},
    "vault": lambda _, name: {"path": f"rotate/{Path(name).stem}"},
    "openbao": lambda _, name: {"path": f"rotate/{Path(name).stem}"},
    "aws": lambda _, name: {"secret_id": f"rotate/{Path(name).stem}"},
    "kubernetes": lambda _, name: {"name": f"rotate-{Path(name).stem}"},
}
"""Where a record goes in each kind of store unless it is said: from the folder of the configuration and a file name."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """The options of a call; what is None or empty was not given."""

    endpoints: tuple[str, ...] = ()
    fingerprint: str | None = None
    ca: Path | None = None
    owner: str | None = None
    cluster: str | None = None
    group: str | None = None
    role: str | None = None
    operator: str | None = None
    store: str = FILE
    store_settings: tuple[str, ...] = ()
    operator_place: tuple[str, ...] = ()
    name: str | None = None
    user: str | None = None
    use: str | None = None
    grants: tuple[str, ...] = ()
    place: tuple[str, ...] = ()
    every: str | None = None
    overlap: str | None = None


@dataclass(frozen=True)
class Contact:
    """How a cluster is reached: its endpoints, and what its configuration says about whom to believe."""

    endpoints: tuple[str, ...]
    tls: Mapping[str, Any]


def require_options(given: Given, *, has_login: bool) -> None:
    """Refuse at once when nobody is there to be asked. Raises: ``UsageError`` that names every missing option."""
    needed = {
        "--endpoint": given.endpoints,
        "--login and --password-file": has_login,
        "--name": given.name,
        "--use or --grant": given.use or given.grants,
    }
    if missing := [option for option, value in needed.items() if not value]:
        raise click.UsageError(f"nobody is there to be asked: give {', '.join(missing)}")


@dataclass(frozen=True)
class Questions:
    """Asks for what was not given. ``folder`` is that of the configuration.

    An answer that cannot be is asked for again at once; who is asked everything again finds what was typed before.
    """

    given: Given
    asker: Asker
    folder: Path
    present: Present = field(default_factory=Present)
    """What PVE has, once that was asked: roles and realms that it lacks are not taken."""
    typed: dict[str, str] = field(default_factory=dict)
    """The last answer to each question that made sense."""

    def contact(self) -> Contact:
        """Ask which cluster, and look whether to believe it; an address where nobody answers is asked for again.

        Raises: ``UsageError``; what ``meet`` raises for addresses that were given.
        """
        given = self.given.endpoints
        while True:
            addresses = given or (self._ask("Address of a node (host or host:port)", "", parse_endpoint),)
            endpoints = tuple(map(reading(parse_endpoint, "--endpoint"), addresses))
            try:
                return Contact(endpoints, self._tls(endpoints))
            except UnavailableError as error:
                if given or not self.asker.is_there:
                    raise
                self.complain(error)

    def _tls(self, endpoints: Sequence[str]) -> Mapping[str, Any]:
        if self.given.ca:
            tls: dict[str, Any] = {"ca": str(self.given.ca.absolute())}
            trust_of(tls).context()
            for typed in endpoints if not self.given.endpoints else ():
                meet(typed)
            return tls
        given = self.given.fingerprint
        wanted = trust_of({"fingerprint": given}).fingerprint if given else ""
        return self._trust([meet(endpoint, wanted=wanted) for endpoint in endpoints])

    def complain(self, error: RotatorError) -> None:
        """Say what is wrong with what was typed; it is asked for again."""
        self.asker.say(f"{error.message}; {error.hint}" if error.hint else error.message)

    def _trust(self, met: Sequence[Met]) -> Mapping[str, Any]:
        trusted = all(it.is_trusted for it in met)
        if self.given.fingerprint is None and trusted:
            self.asker.say(f"{met[0].endpoint} shows a certificate that this system trusts: {met[0].fingerprint}")
            return {}
        if len({it.fingerprint for it in met}) > 1:
            hint = "name their authority, which every node has: --ca pve-root-ca.pem (/etc/pve/pve-root-ca.pem)"
            raise ConfigError("each of these endpoints has a certificate of its own", hint=hint)
        seen = met[0].fingerprint
        if self.given.fingerprint is not None:
            if not trusted:
                message = (
                    f"{met[0].endpoint} shows another certificate than the given one: {seen}; nothing was sent to it"
                )
                raise RefusedError(message, hint=f"look which is right, {CHECK_IT}")
        elif not self.asker.is_there:
            message = (
                f"{met[0].endpoint} shows a certificate that this system does not trust: give --fingerprint {seen}"
            )
            raise click.UsageError(f"{message} if the node shows the same ({CHECK_IT}), or --ca FILE")
        else:
            self._agree(met[0])
        return {"fingerprint": seen}

    def _agree(self, met: Met) -> None:
        self.asker.say(
            f"{met.endpoint} shows a certificate that this system does not trust. Its SHA-256 fingerprint is\n"
            f"    {met.fingerprint}\nCompare it with what the node itself shows, {CHECK_IT}"
        )
        if not self.asker.agree("Trust it from now on?"):
            raise RefusedError("the certificate was not trusted; nothing was sent", hint="compare the fingerprints")

    def user_of_login(self) -> str:
        """Ask as whom to log in."""
        return self._ask("Log in as (once; nothing of it is kept)", "root@pam", parse_userid)

    def unasked(self) -> Answers:
        """Answer without asking: what was given, and what is usual or stands in for the rest."""
        given = self.given
        grants = given.grants or (() if given.use else ("/=PVEAuditor",))
        known = replace(given, name=given.name or STAND_IN, grants=grants)
        nobody = Terminal(as_json=True)
        return Questions(known, nobody, self.folder).answers(Contact(("pve.invalid:8006",), {}), STAND_IN)

    def answers(self, contact: Contact, token: str) -> Answers:
        """Ask for the rest. Raises: ``UsageError``; ``BadParameter``."""
        given = self.given
        name = self._name()
        use = self._use()
        userid = given.user or self._ask("Its user at PVE", f"{name}@pve", self._managed)
        kind = self._kind()
        for option, parse in PARSED.items():
            if value := getattr(given, option):
                reading(parse, f"--{option}")(value)
        return Answers(
            owner=given.owner or usual_owner(),
            cluster=given.cluster or "home",
            endpoints=contact.endpoints,
            tls=contact.tls,
            name=name,
            userid=userid,
            grants=use.grants,
            place=self._place(f"{name}{use.suffix}", f"Where {name} reads its token", given.place),
            operator_place=self._place("operator.json", "Where to keep the operator's own token", given.operator_place),
            token=token,
            preset=use.preset,
            store={} if kind == {"type": FILE} else kind,
            **{
                key: value
                for key in ("group", "role", "operator", "every", "overlap")
                if (value := getattr(given, key))
            },
        )

    def _name(self) -> str:
        if self.given.name:
            return reading(parse_credential, "--name")(self.given.name)
        return self._ask("Name of the credential, for example of its consumer", "", parse_credential)

    def _use(self) -> Use:
        given = self.given
        if given.grants or given.use:
            words = " ".join([*([given.use] if given.use else []), *given.grants])
            return reading(lambda text: use_of(text.split()), "--use, --grant")(words)
        for name, use in USES.items():
            self.asker.say(f"    {name}: {use.about} ({', '.join(f'{it.role} on {it.path}' for it in use.grants)})")
        question = "What may it do (one of these, or PATH=ROLE, several with blanks between)"
        return self._ask(question, "", lambda text: self._known(use_of(text.split())))

    def _known(self, use: Use) -> Use:
        for grant in use.grants:
            self._check_known("role", grant.role, self.present.roles)
        return use

    def _check_known(self, what: str, name: str, known: Collection[str]) -> None:
        """Return for what PVE has, and while it was not asked. Raises: ``InvalidValueError``."""
        if known and name not in known:
            raise InvalidValueError(f"PVE has no {what} {name}", suggestion(name, known) or "make it there first")

    def _managed(self, text: str) -> str:
        try:
            check_managed(parse_userid(text), self.given.operator or OPERATOR)
        except RefusedError as error:
            raise InvalidValueError(error.message, error.hint) from None
        self._check_known("realm", text.rpartition("@")[2], self.present.realms)
        return text

    def _kind(self) -> dict[str, Any]:
        return {"type": self.given.store, **settings_of(self.given.store_settings, "--store-setting")}

    def _place(self, file: str, question: str, given: Sequence[str]) -> dict[str, Any]:
        store = self.given.store
        usual = PLACES.get(store, PLACES[FILE])(self.folder, file)
        backend = {} if store == FILE and not self.given.store_settings else {"backend": store}
        if given or store not in PLACES:
            return {**backend, **settings_of(given, "--place")}
        (key, value), *_ = usual.items()
        if not self.asker.is_there:
            return {**backend, **usual}  # what the store says of it is said of the whole configuration
        return {**backend, key: self._ask(f"{question} ({key})", value, lambda text: self._located(key, text, value))}

    def _located(self, key: str, text: str, usual: str) -> str:
        """Let the store itself look whether it has such a place; it contacts nobody for that."""
        kind = self._kind()
        try:
            backend = registry.find(kind.pop("type")).configure(kind)
            try:
                backend.locate({key: text})
            finally:
                backend.close()
        except ConfigError as error:
            raise InvalidValueError("; ".join(error.message.splitlines()), f"for example {usual}") from None
        return text

    def _ask(self, question: str, default: str, parse: Callable[[str], T]) -> T:
        """Ask until the answer makes sense; where nobody is there, take what is usual."""
        while self.asker.is_there:
            text = self.asker.ask(question, self.typed.get(question, default))
            try:
                found = parse(text)
            except InvalidValueError as error:
                self.asker.say(f"{error.message}; {error.advice}")
            else:
                self.typed[question] = text
                return found
        return reading(parse, question)(default)


def parse_credential(text: str) -> str:
    """Read the name of a credential that the names of its tokens can begin with. Raises: ``InvalidValueError``."""
    return parse_base(parse_name(text))


def reading(parse: Callable[[str], T], option: str) -> Callable[[str], T]:
    """Read the value of an option. Raises: ``BadParameter``."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except InvalidValueError as error:
            raise click.BadParameter(f"{error.message}; {error.advice}", param_hint=option) from None

    return read


def use_of(words: Sequence[str]) -> Use:
    """Read what a consumer may do: the name of a use, roles on paths, or both. Raises: ``InvalidValueError``."""
    named = [USES[word] for word in words if word in USES]
    grants: list[Grant] = [parse_grant(word) for word in words if word not in USES]
    if len(named) > 1 or not words:
        raise InvalidValueError("not one use", f"write one of {', '.join(USES)}, or PATH=ROLE")
    about = named[0] if named else Use("", ())
    return Use(about.about, (*about.grants, *grants), about.preset, about.suffix)


def settings_of(given: Sequence[str], option: str) -> dict[str, Any]:
    """Read ``KEY=VALUE`` in the words of a store; values are YAML. Raises: ``BadParameter``."""
    found: dict[str, Any] = {}
    for each in given:
        key, equals, value = each.partition("=")
        try:
            found[key] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):  # a month 13 is no date, and a text may nest too deeply
            equals = ""
        if not key or not equals:
            raise click.BadParameter("write KEY=VALUE, for example path=rotate/operator", param_hint=option)
    return found


def usual_owner() -> str:
    """Make a name for this installation of that of the machine."""
    likely = re.sub(r"[^a-z0-9]+", "-", platform.node().partition(".")[0].lower()).strip("-")[:32]
    return likely or "rotator"
