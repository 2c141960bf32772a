"""The clusters of a configuration: what their keys must fulfil together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

from rotator.config_fields import Site, site_of
from rotator.config_places import Findings, Places
from rotator.config_schema import (
    BackendPart,
    ClusterPart,
    EnvPart,
    FilePart,
    RecordPart,
    TicketPart,
    TlsPart,
    TokenPart,
)
from rotator.config_shape import Salvaged
from rotator.config_values import check_certificates
from rotator.errors import ConfigError
from rotator.faults import InvalidValueError
from rotator.model import TokenId
from rotator.references import BackendReference, EnvReference, FileReference, SecretReference, check
from rotator.settings import ClusterSettings, Operator, RecordOperator, TicketOperator, TokenOperator
from rotator.yaml_lines import Loc


class Clusters:
    """Makes the settings of clusters; what is wrong goes to the findings."""

    def __init__(self, findings: Findings, places: Places, environ: Mapping[str, str]) -> None:
        self._findings = findings
        self._places = places
        self._environ = environ
        self._owners: dict[str, str] = {}
        self._readers: dict[str, str] = {}

    def settle(self, name: str, cluster: Salvaged[ClusterPart]) -> ClusterSettings | None:
        """Make the settings of one cluster, None without a usable operator."""
        part, loc = cluster.part, cluster.loc
        if "endpoints" not in cluster.faulty:
            self._check_endpoints(name, part.endpoints, (*loc, "endpoints"))
        if "tls" not in cluster.faulty:
            self._check_tls(part.tls, (*loc, "tls"))
        operator = None if "operator" in cluster.faulty else self._operator(name, part, (*loc, "operator"))
        if operator is None:
            return None
        return ClusterSettings(
            name=name,
            endpoints=part.endpoints,
            operator=operator,
            ca_file=Path(part.tls.ca) if part.tls.ca else None,
            fingerprint=part.tls.fingerprint,
            unsafe_skip_verification=part.tls.unsafe_skip_verification,
            connect_timeout=part.timeouts.connect,
            read_timeout=part.timeouts.read,
        )

    def _check_endpoints(self, name: str, endpoints: tuple[str, ...], loc: Loc) -> None:
        for at, endpoint in enumerate(endpoints):
            owner = self._owners.setdefault(endpoint, name)
            if owner != name:
                advice = "one installation is one cluster: its writes are serialised there"
                self._findings.add((*loc, at), f"an endpoint of the cluster {owner} too", advice)
            elif endpoint in endpoints[:at]:
                self._findings.add((*loc, at), "the same endpoint twice", "keep one of them")

    def _check_tls(self, tls: TlsPart, loc: Loc) -> None:
        given = [key for key in ("ca", "fingerprint", "unsafe_skip_verification") if getattr(tls, key)]
        if len(given) > 1:
            self._findings.add(loc, f"{' and '.join(given)} exclude each other", f"keep one, best {given[0]}")
        if not given and tls.model_fields_set:
            advice = "take tls away to trust what the system trusts, or write {ca: /path.pem}"
            self._findings.add(loc, "says nothing", advice)
        if tls.ca:
            try:
                check_certificates(Path(tls.ca))
            except InvalidValueError as error:
                self._findings.add((*loc, "ca"), error.message, error.advice)

    def _operator(self, name: str, part: ClusterPart, loc: Loc) -> Operator | None:
        match part.operator:
            case RecordPart():
                return self._record(name, part.operator, loc, site_of(name, part))
            case TokenPart():
                return self._token(part.operator, loc)
            case TicketPart():
                return self._ticket(part.operator, loc)
        assert_never(part.operator)

    def _record(self, name: str, part: RecordPart, loc: Loc, site: Site) -> Operator | None:
        destination = self._places.destination(part, loc, site)
        if destination is None:
            return None
        reader = self._readers.setdefault(destination.label, name)
        if reader != name:
            message = f"the operator of the cluster {reader} is read from {destination.label} too"
            self._findings.add(loc, message, "a token is of one cluster: give each a record of its own")
        return RecordOperator(destination)

    def _token(self, part: TokenPart, loc: Loc) -> Operator | None:
        secret = self.reference(part.token_secret, (*loc, "token_secret"))
        return TokenOperator(TokenId.parse(part.token_id), secret) if secret else None

    def _ticket(self, part: TicketPart, loc: Loc) -> Operator | None:
        password = self.reference(part.password, (*loc, "password"))
        totp = self.reference(part.totp, (*loc, "totp")) if part.totp else None
        return TicketOperator(part.user, password, totp) if password and (totp or not part.totp) else None

    def reference(self, part: EnvPart | FilePart | BackendPart, loc: Loc) -> SecretReference | None:
        """Make a reference to a secret; one that cannot be used is among the findings, too."""
        reference = self._unchecked(part, loc)
        if reference is None:
            return None
        try:
            check(reference, environ=self._environ)
        except ConfigError as error:
            self._findings.add(loc, str(error), error.hint)
        return reference

    def _unchecked(self, part: EnvPart | FilePart | BackendPart, loc: Loc) -> SecretReference | None:
        match part:
            case EnvPart():
                return EnvReference(part.env)
            case FilePart():
                return FileReference(Path(part.file))
            case BackendPart():
                place = self._places.locate(part.backend, part.model_extra or {}, loc)
                return BackendReference(place.backend, place.location, place.label, part.key) if place else None
        assert_never(part)
