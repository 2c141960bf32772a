"""The policy that the document shows is enough, and all of it is needed; what is missing is told to the line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rotator.errors import RefusedError
from rotator_backends.vault import VaultBackend
from rotator_backends.vault_answers import policy_line
from rotator_backends.vault_kv import VaultLocation
from tests.vault.lab import RECORD, Lab, named

DOCUMENT = (Path(__file__).parents[2] / "backends" / "vault.md").read_text()
RULE = re.compile(r'^path "([^"]+)" \{ capabilities = \[(.+)\] \}$', re.MULTILINE)
SECOND, WITH_METADATA, FIRST = [
    [(path, re.findall(r'"(\w+)"', listed)) for path, listed in RULE.findall(block)]
    for block in re.findall(r"```hcl\n(.*?)```", DOCUMENT, re.DOTALL)
]
"""The policies of the document, in its order, as paths with capabilities."""

Rules = list[tuple[str, list[str]]]


def policy(rules: Rules, place: VaultLocation) -> str:
    """Write a policy of the document for another place than the one it speaks of."""
    lines = []
    for path, capabilities in rules:
        inside = re.sub("^secret/(data/|metadata/|)ci$", rf"{place.mount}/\g<1>{place.path}", path)
        lines.append(policy_line(inside, capabilities))
    return "\n".join(lines)


def without(rules: Rules, number: int, capability: str) -> Rules:
    """Take one capability out."""
    return [(path, [one for one in held if at != number or one != capability]) for at, (path, held) in enumerate(rules)]


def rotate(backend: VaultBackend, place: VaultLocation) -> None:
    """Do everything that a rotation does: from nothing to a record, and once more."""
    for _ in range(2):
        backend.preflight(place)
        stored = backend.read(place)
        backend.write(place, RECORD, expected=stored.version if stored else None)


def limited(lab: Lab, rules: Rules, place: VaultLocation, **settings: object) -> VaultBackend:
    """Make a backend whose token has these rules and nothing else, not even the policy ``default``."""
    return lab.as_token(lab.token(lab.policy(policy(rules, place)), no_default_policy=True), **settings)


def kinds() -> list[tuple[str, Rules, dict[str, object]]]:
    """List the policies with the settings they are for."""
    return [
        ("two", SECOND, {}),
        ("metadata", SECOND + WITH_METADATA, {"metadata": True}),
        ("one", FIRST, {"kv_version": 1}),
    ]


@pytest.mark.parametrize(("rules", "settings"), [kind[1:] for kind in kinds()], ids=[kind[0] for kind in kinds()])
def test_the_documented_policy_is_enough(lab: Lab, rules: Rules, settings: dict[str, object]) -> None:
    """A token that may do this and nothing else can rotate."""
    place = VaultLocation(lab.mount(version=1 if settings.get("kv_version") == 1 else 2), named("ci"))
    rotate(limited(lab, rules, place, **settings), place)


MUTATIONS = [
    pytest.param(rules, settings, number, capability, id=f"{name}-{path.split('/')[-2]}-{capability}")
    for name, rules, settings in kinds()
    for number, (path, held) in enumerate(rules)
    for capability in held
]


@pytest.mark.parametrize(("rules", "settings", "number", "capability"), MUTATIONS)
def test_all_of_the_documented_policy_is_needed(
    lab: Lab, rules: Rules, settings: dict[str, object], number: int, capability: str
) -> None:
    """Whatever is taken out is missed before anything is written, and the hint has the whole line."""
    place = VaultLocation(lab.mount(version=1 if settings.get("kv_version") == 1 else 2), named("ci"))
    with pytest.raises(RefusedError) as caught:
        rotate(limited(lab, without(rules, number, capability), place, **settings), place)
    line = policy([rules[number]], place)
    assert caught.value.hint.endswith(f"its policy needs: {line}")
    path = line.split('"')[1]
    if path == "sys/capabilities-self":
        assert caught.value.message == f"cannot ask for our capabilities at {lab.address}: permission denied"
    else:
        assert caught.value.message == f"our token lacks {capability} on {path}"


@pytest.fixture
def denied(lab: Lab) -> tuple[VaultBackend, VaultLocation]:
    """Make a backend whose token may do nothing."""
    return lab.as_token(lab.token("default")), VaultLocation(lab.mount(), named("ci"))


@pytest.mark.parametrize("doing", ["read", "write"])
def test_what_is_denied_is_told_with_the_line_that_allows_it(
    lab: Lab, denied: tuple[VaultBackend, VaultLocation], doing: str
) -> None:
    """Without a preflight, too."""
    backend, place = denied
    attempts: dict[str, Callable[[], object]] = {
        "read": lambda: backend.read(place),
        "write": lambda: backend.write(place, RECORD, expected=None),
    }
    with pytest.raises(RefusedError) as caught:
        attempts[doing]()
    assert caught.value.message == f"cannot read {place} at {lab.address}: permission denied"
    assert caught.value.hint == (
        "is the token valid, in this namespace, and not expired? its policy needs: "
        f'path "{place.mount}/data/{place.path}" {{ capabilities = ["create", "update", "read"] }}'
    )


def test_all_that_is_missing_is_told_at_once(denied: tuple[VaultBackend, VaultLocation]) -> None:
    """A preflight of a token that may do nothing."""
    backend, place = denied
    with pytest.raises(RefusedError, match=f"^our token lacks read on {place.mount}/data/{place.path}$"):
        backend.preflight(place)


def test_a_policy_that_denies_wins(lab: Lab) -> None:
    """What one policy denies, no other allows."""
    place = VaultLocation(lab.mount(), named("ci"))
    allowing, denying = (
        lab.policy(policy(SECOND, place)),
        lab.policy(f'path "{place.mount}/data/*" {{ capabilities = ["deny"] }}'),
    )
    exact = lab.policy(f'path "{place.mount}/data/{place.path}" {{ capabilities = ["deny"] }}')
    lab.as_token(lab.token(allowing, denying)).preflight(place)
    with pytest.raises(RefusedError, match=r"^our token lacks read on "):
        lab.as_token(lab.token(allowing, exact)).preflight(place)


@pytest.mark.parametrize(
    "pattern", ["{mount}/data/*", "{mount}/data/t*", "{mount}/+/team/ci", "{mount}/data/+/ci", "+/data/team/ci"]
)
def test_patterns_in_a_policy_count(lab: Lab, pattern: str) -> None:
    """A star at the end is for all that follows, a plus for one step."""
    place = VaultLocation(lab.mount(), "team/ci")
    text = policy_line(pattern.format(mount=place.mount), ["create", "update", "read"])
    rotate(lab.as_token(lab.token(lab.policy(text))), place)


@pytest.mark.parametrize(
    "pattern", ["{mount}/data/x*", "{mount}/data/+", "{mount}/+/ci", "{mount}/data/team", "data/team/ci"]
)
def test_patterns_for_other_paths_do_not_count(lab: Lab, pattern: str) -> None:
    """They do not match."""
    place = VaultLocation(lab.mount(), "team/ci")
    text = policy_line(pattern.format(mount=place.mount), ["create", "update", "read"])
    with pytest.raises(RefusedError, match=r"^our token lacks read on "):
        lab.as_token(lab.token(lab.policy(text))).preflight(place)


def test_of_several_patterns_the_closest_counts(lab: Lab) -> None:
    """The longer one, whatever the shorter ones allow."""
    place = VaultLocation(lab.mount(), "team/ci")
    wide = policy_line(f"{place.mount}/*", ["create", "update", "read"])
    close = policy_line(f"{place.mount}/data/team/*", ["read"])
    with pytest.raises(RefusedError, match=r"^our token lacks create on "):
        lab.as_token(lab.token(lab.policy(f"{wide}\n{close}"))).preflight(place)


def test_a_token_of_a_namespace_has_the_policies_of_that_namespace(lab: Lab) -> None:
    """A policy says its paths from its own namespace on."""
    namespace = named("team")
    lab.admin().sys.create_namespace(namespace)
    place = VaultLocation(lab.mount(namespace=namespace), "ci")
    token = lab.token(lab.policy(policy(SECOND, place), namespace=namespace), namespace=namespace)
    rotate(lab.as_token(token, namespace=namespace), place)
    with pytest.raises(RefusedError, match=r"permission denied$"):
        lab.as_token(token).read(place)


def test_a_quotation_mark_in_a_path_is_written_as_hcl_wants_it() -> None:
    """The line can be pasted."""
    line = policy_line('kv/data/a"b\\c${d}', ["read"])
    assert line == 'path "kv/data/a\\"b\\\\c$${d}" { capabilities = ["read"] }'
