"""The page on shapes is in step with the code: every preset and every variable, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import yaml

from rotator.model import Secret, Token, TokenId
from rotator.presets import PRESETS, Preset
from rotator.shape import Shape
from rotator.template import VARIABLES, Template
from tests.repo.tree import read

PAGE = "rotator/SHAPES.md"
ENDS = datetime(2026, 3, 1, 12, tzinfo=UTC)
SITE = {
    "cluster": "home",
    "host": "pve1.lan",
    "port": "8006",
    "endpoint_url": "https://pve1.lan:8006",
    "api_url": "https://pve1.lan:8006/api2/json",
    "verify_ssl": "true",
    "insecure": "false",
}


def section(title: str) -> str:
    """Return the text under a heading of the page."""
    return read(PAGE).partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[str]:
    """Return the rows of the first table under a heading."""
    table = section(title).partition("|---")[2].partition("\n\n")[0]
    return table.splitlines()[1:]


def row(name: str, preset: Preset) -> str:
    """Write the row of a preset."""
    keys = ", ".join(f"`{key}`" for key in preset.fields)
    return f"| `{name}` | {preset.consumer} | {preset.place} | {keys} |"


def shown(fields: dict[str, str], token: Token) -> dict[str, str]:
    """Render texts for the cluster of the page."""
    parsed = tuple((key, Template.parse(text)) for key, text in fields.items())
    shape = Shape(parsed, tuple(SITE.items()), is_canonical=False)
    return {key: value.reveal() for key, value in shape.render(token, ENDS).items()}


def test_every_preset_is_on_the_page() -> None:
    """The table is what the code says; copy it from what this test expects."""
    assert rows("Presets") == [row(name, preset) for name, preset in PRESETS.items()]


def test_every_variable_is_on_the_page_with_what_it_becomes() -> None:
    """The example of each is what is really written."""
    token = Token(TokenId("ci@pve", "ci-8-k3f9q"), Secret("5ec7e7…"))
    told = [[cell.strip("` ") for cell in line.strip("|").split("|")] for line in rows("Variables")]
    becomes = shown({name: f"{{{name}}}" for name in VARIABLES}, token)
    assert {name: example for name, _, example in told} == becomes


def test_presets_are_in_order_and_in_known_places() -> None:
    """By name; where a preset is one file it has that file's name as its only key."""
    assert list(PRESETS) == sorted(PRESETS)
    for preset in PRESETS.values():
        assert preset.place in {"environment", "record"} or list(preset.fields) == [preset.place]


def texts() -> Iterator[str]:
    """Yield the templates on the page that stand in blocks of YAML."""
    for block in re.findall(r"```yaml\n(.*?)```", read(PAGE), re.DOTALL):
        yield from yaml.safe_load(block)["destination"].get("fields", {}).values()


def test_the_examples_on_the_page_can_be_read_back() -> None:
    """What is shown as a whole file is one that is accepted."""
    found = list(texts())
    assert found
    assert all(Template.parse(text).is_readable for text in found)


def test_the_first_example_is_what_the_preset_writes() -> None:
    """Secret aside."""
    token = Token(TokenId("terraform@pve", "terraform-8-k3f9q"), Secret("…"))
    lines = [f"{key}={value}" for key, value in shown(dict(PRESETS["bpg"].fields), token).items()]
    assert "\n".join(lines) in read(PAGE)
