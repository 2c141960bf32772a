"""The module in ``deploy/vault``, read as HCL: it takes its policies from the files, and binds every role.

What it does at a server is tested by ``tests/deploy/terraform_module.py``, which needs one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import hcl2
import pytest

from tests.deploy.vault_policies import FOLDER, RULE, Rules, read
from tests.docs.pages import read as page

NAMES = ("main", "outputs", "roles", "variables", "versions")
POLICIES = ("consumer", "metadata", "rotator")
BOUND = {
    "vault_approle_auth_backend_role": {"secret_id_bound_cidrs", "secret_id_ttl", "token_bound_cidrs"},
    "vault_jwt_auth_backend_role": {"bound_audiences", "bound_claims", "user_claim"},
    "vault_kubernetes_auth_backend_role": {
        "bound_service_account_names",
        "bound_service_account_namespaces",
        "audience",
    },
}
"""What keeps others from taking a role."""


def parsed(name: str) -> dict[str, Any]:
    """Read a file of the folder."""
    found: dict[str, Any] = plain(hcl2.loads((FOLDER / name).read_text(encoding="utf-8")))
    return found


def plain(found: Any) -> Any:  # noqa: ANN401 - HCL
    """Take the quotation marks off keys and texts."""
    if isinstance(found, dict):
        return {str(plain(key)): plain(value) for key, value in found.items() if key != "__is_block__"}
    if isinstance(found, list):
        return [plain(one) for one in found]
    return found[1:-1] if isinstance(found, str) and re.fullmatch(r'".*"', found, re.DOTALL) else found


MODULE: dict[str, list[dict[str, Any]]] = {
    kind: blocks for name in NAMES for kind, blocks in parsed(f"{name}.tf").items() if kind != "resource"
}
VARIABLES = {name: body for block in MODULE["variable"] for name, body in block.items()}
OUTPUTS = {name: body for block in MODULE["output"] for name, body in block.items()}


def resources() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield all resources: type, name, content."""
    for file in ("main", "roles"):
        for block in parsed(f"{file}.tf")["resource"]:
            for kind, named in block.items():
                for name, body in named.items():
                    yield kind, name, body


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_hcl_with_a_rule_on_each_line(name: str) -> None:
    """A parser of HCL finds what the tests and the module find line by line."""
    found: Rules = tuple(
        (path, tuple(plain(body)["capabilities"])) for path, body in _paths(parsed(f"{name}.hcl")["path"])
    )
    assert found == read(name)
    lines = [it for it in (FOLDER / f"{name}.hcl").read_text(encoding="utf-8").splitlines() if not it.startswith("#")]
    assert all(line.startswith("path ") and RULE.fullmatch(line) for line in lines)


def _paths(blocks: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for block in blocks:
        yield from block.items()


def test_the_module_has_no_policy_but_those_of_the_files() -> None:
    """It reads each, and writes nothing else."""
    text = "".join((FOLDER / f"{name}.tf").read_text(encoding="utf-8") for name in NAMES)
    assert re.findall(r'file\("\$\{path\.module\}/(\w+)\.hcl"\)', text) == ["rotator", "metadata", "consumer"]
    assert "capabilities" not in text
    policies = {name: body["policy"] for kind, name, body in resources() if kind == "vault_policy"}
    assert policies == {"rotator": "${local.rotator_policy}", "consumer": "${each.value}"}


@pytest.mark.parametrize("kind", BOUND)
def test_a_role_is_bound_and_has_one_policy(kind: str) -> None:
    """Its own, which is called as it is; it ends, and nobody else can take it."""
    (body,) = [body for found, _, body in resources() if found == kind]
    method = kind.split("_")[1]
    assert (body["for_each"], body["role_name"]) == (f"${{local.by_{method}}}", "${each.key}")
    assert body["token_policies"] == ["${each.key}"]
    assert body["token_ttl"] == body["token_max_ttl"] == "${each.value.token_ttl}"
    assert body.keys() >= BOUND[kind]
    for name in BOUND[kind]:
        assert f"each.value.{method}." in str(body[name])


def test_every_variable_says_what_it_is_and_what_it_takes() -> None:
    """A path, a name or a login that is wrong is refused with a sentence."""
    assert all(body["description"] and body["type"] and body["nullable"] is False for body in VARIABLES.values())
    checked = {name for name, body in VARIABLES.items() if "validation" in body}
    assert set(VARIABLES) - checked == {"approle", "create_mount", "metadata"}
    said = [it["error_message"] for name in checked for it in VARIABLES[name]["validation"]]
    assert all(sentence.endswith(".") for sentence in said)
    assert all(body["description"] for body in OUTPUTS.values())


def test_the_page_lists_all_variables_and_outputs() -> None:
    """And nothing that is not there."""
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", page("deploy/vault/README.md"), re.MULTILINE)
    shown = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(shown) == sorted([*VARIABLES, *OUTPUTS])


def test_the_example_sets_what_there_is() -> None:
    """And what must be set."""
    (call,) = [body for block in parsed("example/main.tf")["module"] for body in block.values()]
    required = {name for name, body in VARIABLES.items() if "default" not in body}
    assert required <= call.keys() - {"source"} <= set(VARIABLES)
