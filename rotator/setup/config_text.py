"""The configuration that a set-up writes: commented, short, and valid as it is. Pure.

Text with gaps, not a dump of data: whoever opens the file shall understand it. What fills the gaps is written by
PyYAML, which knows what needs quotes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import yaml

from rotator.setup.answers import Answers

SCHEMA_FILE = "rotate.schema.json"

TEXT = """\
# yaml-language-server: $schema={schema}
#
# Made by `rotate init`; it is yours now. Your editor explains every key (`rotate config schema` writes what it reads),
# `rotate config check` finds every mistake. No secret stands here.

version: 1

# The name of this installation, in the comment of every token it issues. Do not change it later.
owner: {owner}
{backends}
clusters:
  {cluster}:
    # More nodes of the same cluster may stand here; any of them will do.
    endpoints: {endpoints}
{tls}    # As whom tokens are managed: {operator} has {role} on the group {group} and nothing else.
    operator: {operator_place}

credentials:
  - name: {name}
    cluster: {cluster}
    user: {userid}
    every: {every}         # a new token at least this often
    overlap: {overlap}       # the old one works on for that long: the consumer reads the record again within it
    privsep: false     # the token may do what its user may: {grants}
    # Where the consumer reads its token:
    destination: {place}
"""
BACKENDS = """
# The secrets stores, by name.
backends:
  {name}: {settings}
"""
TLS = """\
    # {how}
    tls: {tls}
"""
HOW = {
    "fingerprint": "The SHA-256 of the one certificate to accept. When the node gets another one, put that here.",
    "ca": "The authority that issued the nodes' certificates.",
}


def config_text(answers: Answers) -> str:
    """Write the configuration, without the journal."""
    return TEXT.format(
        schema=SCHEMA_FILE,
        owner=flow(answers.owner),
        backends=_backends(answers.store),
        cluster=flow(answers.cluster),
        endpoints=flow(list(answers.endpoints)),
        tls=_tls(answers.tls),
        operator=answers.operator,
        role=answers.role,
        group=answers.group,
        operator_place=flow(answers.operator_place),
        name=flow(answers.name),
        userid=flow(answers.userid),
        every=flow(answers.every),
        overlap=flow(answers.overlap),
        grants=", ".join(f"{grant.role} on {grant.path}" for grant in answers.grants) or "nothing yet",
        place=flow(_place(answers)),
    )


def _place(answers: Answers) -> dict[str, Any]:
    preset = {"preset": answers.preset} if answers.preset else {}
    return {**answers.place, **preset}


def _tls(tls: Mapping[str, Any]) -> str:
    if not tls:
        return ""
    return TLS.format(how=HOW[next(iter(tls))], tls=flow(tls))


def _backends(store: Mapping[str, Any]) -> str:
    return BACKENDS.format(name=flow(store["type"]), settings=flow(store)) if store else ""


def flow(value: object) -> str:
    """Write a value on one line, with quotes where YAML needs them."""
    plain = dict(value) if isinstance(value, Mapping) else value
    text: str = yaml.safe_dump([plain], default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf)
    return text.strip()[1:-1]
