"""Who may do what in the simulated Kubernetes: RBAC rules as data, as a Role has them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from rotator.testing.kubernetes_status import Resource

_ALL = "*"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody wants to do. ``name`` is empty for create and list, as the real authorizer sees them."""

    user: str
    verb: str
    resource: Resource
    namespace: str
    name: str = ""

    def refusal(self) -> str:
        """Word it as the real authorizer does."""
        scope = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        group = self.resource.group
        return f'User "{self.user}" cannot {self.verb} resource "{self.resource.plural}" in API group "{group}" {scope}'


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a Role; without ``resource_names`` it is about all names."""

    verbs: tuple[str, ...]
    resources: tuple[str, ...]
    api_groups: tuple[str, ...] = ("",)
    resource_names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, rule: Mapping[str, Any]) -> Self:
        """Read a rule as YAML or JSON has it."""
        return cls(
            tuple(rule["verbs"]),
            tuple(rule["resources"]),
            tuple(rule["apiGroups"]),
            tuple(rule.get("resourceNames", ())),
        )

    def allows(self, attempt: Attempt) -> bool:
        """Say whether it does; a rule with names never allows what has none yet, such as create."""
        return (
            _has(self.verbs, attempt.verb)
            and _has(self.resources, attempt.resource.plural)
            and _has(self.api_groups, attempt.resource.group)
            and (not self.resource_names or attempt.name in self.resource_names)
        )


EVERYTHING = Rule((_ALL,), (_ALL,), (_ALL,))


@dataclass(frozen=True, slots=True)
class Binding:
    """A user's rules, in one namespace or (empty) in all and at the cluster scope."""

    user: str
    rules: tuple[Rule, ...]
    namespace: str = ""

    def allows(self, attempt: Attempt) -> bool:
        """Say whether one of its rules does."""
        concerned = self.user == attempt.user and self.namespace in {"", attempt.namespace}
        return concerned and any(rule.allows(attempt) for rule in self.rules)


def is_allowed(bindings: Iterable[Binding], attempt: Attempt) -> bool:
    """Say whether any binding allows it; nothing ever denies."""
    return any(binding.allows(attempt) for binding in bindings)


def _has(listed: Sequence[str], wanted: str) -> bool:
    return wanted in listed or _ALL in listed
