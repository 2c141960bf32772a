"""``rotate config check`` and ``rotate config schema``: the configuration itself; nobody is contacted."""

from __future__ import annotations

import json

import click

from rotator import config as configuration
from rotator.cli.invocation import Command, Invocation, faults_of
from rotator.cli.output import INDENT, Report
from rotator.cli.shapes import Checked, Fault, Schema
from rotator.faults import InvalidConfigError


@click.group()
def config() -> None:
    """Check the configuration, or print its schema.

    Example: rotate config check
    """


@config.command(cls=Command)
@click.pass_obj
def check(asked: Invocation) -> Report:
    """Say all that is wrong with the configuration, with line and column; nobody is contacted.

    Example: rotate config check -c rotate.yaml
    """
    try:
        settings = asked.settings
    except InvalidConfigError as error:
        faults = faults_of(error)
        return Report(text=[told(fault) for fault in faults], exit_code=error.exit_code, errors=faults)
    paused = sum(credential.paused for credential in settings.credentials)
    counted = Checked(
        path=str(settings.path),
        owner=settings.owner,
        clusters=len(settings.clusters),
        credentials=len(settings.credentials),
        paused=paused,
    )
    return Report([counted], [summary(counted)])


def told(fault: Fault) -> str:
    """Write what is wrong the way compilers do, so that editors find the place."""
    place = f"{fault.path}:{fault.line}:{fault.column}" if fault.line else fault.path
    key = f"{fault.key}: " if fault.key else ""
    advice = f"\n{INDENT}{fault.hint}" if fault.hint else ""
    return f"{place}: {key}{fault.message}{advice}"


def summary(it: Checked) -> str:
    """Say that all is well, and how much that is."""
    paused = f", {it.paused} of them paused" if it.paused else ""
    return f"{it.path}: valid; {many(it.clusters, 'cluster')}, {many(it.credentials, 'credential')}{paused}"


def many(count: int, what: str) -> str:
    """Count in words."""
    return f"{count} {what}{'' if count == 1 else 's'}"


@config.command(cls=Command)
def schema() -> Report:
    """Print the JSON schema of the configuration, for editors.

    Example: rotate config schema > rotate.schema.json
    """
    found = configuration.schema()
    return Report([Schema(json_schema=found)], [json.dumps(found, indent=2, ensure_ascii=False)])
