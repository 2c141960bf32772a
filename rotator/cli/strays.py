"""``rotate adopt`` without a name: tokens that nobody rotates, as a table; chosen ones go into the configuration."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rotator import config, registry
from rotator.cli.invocation import Invocation
from rotator.cli.output import INDENT, NOTHING, Report, Table, block, without_empty
from rotator.cli.shapes import Fault, Unrotated
from rotator.errors import ExitCode, RotatorError
from rotator.faults import InvalidConfigError
from rotator.fleet import Fleet

if TYPE_CHECKING:
    from rotator.doctor.strays import Stray
    from rotator.model import TokenId

LONGEST_NAME = 32
AGES = (
    "PVE does not tell how old a token is. Only users that the operator sees are listed; --login USER@REALM sees more."
)
CHOOSE = "To take some over: rotate adopt --token ID --destination KEY=VALUE"
NONE = "no token that the operator sees is left without rotation; --login USER@REALM may see more"


@dataclass(frozen=True)
class Wish:
    """Which tokens are to be taken over, where their records go, and what a credential is called."""

    tokens: tuple[str, ...] = ()
    destination: tuple[str, ...] = ()
    name: str = ""
    cluster: str = ""


def adopt_strays(asked: Invocation, wish: Wish, *, dry_run: bool, yes: bool) -> Report:
    """Show the tokens that nobody rotates; write the configuration that takes chosen ones over."""
    if wish != Wish(wish.tokens) and not wish.tokens:
        raise click.UsageError("--destination, --name and --cluster go with --token")
    asked.chosen(())
    with asked.looking() as fleet:
        found, failures = strays_of(asked, fleet)
    shown = [unrotated(it) for it in found]
    code = ExitCode.FAILED if failures else ExitCode.DONE
    missed = [block(f"{name}  failed  {error}", hint=error.hint) for name, error in failures]
    faults = [Fault(message=f"{name}: {error}", hint=error.hint) for name, error in failures]
    if not wish.tokens:
        listed: list[str | Table] = [table_of(shown), AGES, CHOOSE] if shown else [] if failures else [NONE]
        return Report(shown, [*listed, *missed], code, faults)
    chosen = chosen_of(wish, shown)
    items = [item_of(asked, wish, it) for it in chosen]
    if dry_run or agreed(asked, items, yes=yes):
        lines = written(asked, items, dry_run=dry_run)
        results = [
            replace(it, name=str(item["name"]), added=not dry_run) for it, item in zip(chosen, items, strict=True)
        ]
        return Report(results, [lines, *missed], code, faults)
    return Report(chosen, ["nothing was written"], code)


def strays_of(asked: Invocation, fleet: Fleet) -> tuple[list[Stray], list[tuple[str, RotatorError]]]:
    """Look through all clusters, and tell which could not be asked, and why."""
    from rotator.doctor.examine import Ward  # noqa: PLC0415 - help does not need it
    from rotator.doctor.strays import find  # noqa: PLC0415 - the same

    settings, found, failures = asked.settings, list["Stray"](), list[tuple[str, RotatorError]]()
    ward = Ward(settings, fleet, asked.login.userid if asked.login else "")
    for name in settings.clusters:
        own = [it for it in settings.credentials if it.cluster == name]
        try:
            look = ward.look(name)
            look.pve.users()  # or says why not
            found += find(look, settings.owner, own, holders_of(asked, name))
        except RotatorError as error:
            failures.append((name, error))
    return found, failures


def holders_of(asked: Invocation, cluster: str) -> dict[TokenId, str]:
    """Read which credential's record holds which token; one that cannot be read holds none."""
    from rotator.model import Held  # noqa: PLC0415 - with the next
    from rotator.observe import read  # noqa: PLC0415 - help does not need it

    holders: dict[TokenId, str] = {}
    for credential in (it for it in asked.settings.credentials if it.cluster == cluster):
        for destination in credential.destinations:
            held = read(destination, asked.settings.backends)
            if isinstance(held, Held) and held.token:
                holders.setdefault(held.token.id, credential.name)
    return holders


def unrotated(it: Stray) -> Unrotated:
    """Put a token that nobody rotates into its shape."""
    return Unrotated(
        cluster=it.cluster,
        token=str(it.token),
        expires=it.expires,
        privsep=it.privsep,
        comment=it.comment,
        remarks=it.remarks,
        risks=it.risks,
        credential=it.credential,
        name="",
        added=False,
    )


def table_of(shown: Sequence[Unrotated]) -> Table:
    """Draw up the table."""
    headers = ("cluster", "token", "expires", "privsep", "may", "configured as", "remarks")
    return without_empty(Table(headers, [row(it) for it in shown]))


def row(it: Unrotated) -> tuple[str, ...]:
    """Write one line of it."""
    expires = f"{it.expires:%Y-%m-%d}" if it.expires else "never"
    may = ", ".join(it.risks) or ("not known" if "permissions-unknown" in it.remarks else NOTHING)
    remarks = ", ".join(remark.replace("-", " ") for remark in it.remarks)
    return it.cluster, it.token, expires, "on" if it.privsep else "off", may, it.credential or NOTHING, remarks


def chosen_of(wish: Wish, shown: Sequence[Unrotated]) -> list[Unrotated]:
    """Find what was chosen. Raises: ``UsageError`` for what is not there, or is somewhere twice."""
    chosen = []
    for token in dict.fromkeys(wish.tokens):
        found = [it for it in shown if it.token == token and wish.cluster in {"", it.cluster}]
        if not found:
            raise click.UsageError(f"no token {token} that nobody rotates; `rotate adopt` lists what there is")
        if len(found) > 1:
            clusters = ", ".join(it.cluster for it in found)
            raise click.UsageError(f"{token} is in several clusters: {clusters}; say --cluster")
        if found[0].credential:
            name = found[0].credential
            raise click.UsageError(f"{token} is in the record of {name}: rotate adopt {name}")
        chosen += found
    if wish.name and len(chosen) > 1:
        raise click.UsageError("--name is for one token; without it names are made of user and token")
    return chosen


def item_of(asked: Invocation, wish: Wish, it: Unrotated) -> dict[str, Any]:
    """Write the credential that takes a token over."""
    taken = {credential.name for credential in asked.settings.credentials}
    name = wish.name or name_for(it.token, taken)
    place = dict(pair.partition("=")[::2] for pair in wish.destination)
    if not place or not all((*place, *place.values())):
        raise click.UsageError("where does its record go? --destination KEY=VALUE, such as path=/srv/{name}.json")
    destination = {key: value.replace("{name}", name) for key, value in place.items()}
    userid = it.token.rpartition("!")[0]
    about = {"name": name, "cluster": it.cluster, "user": userid, "privsep": it.privsep, "adopt": True}
    base = {} if re.match("[a-z]", name) else {"base": f"t-{name}"}
    return about | base | {"destination": destination}


def name_for(token: str, taken: Iterable[str]) -> str:
    """Make a name of user and token that is not taken."""
    user, _, name = token.rpartition("!")
    plain = (
        re.sub(r"[^a-z0-9]+", "-", f"{user.rpartition('@')[0]}-{name}".lower()).strip("-")[:LONGEST_NAME].rstrip("-")
    )
    names = [plain, *(f"{plain[: LONGEST_NAME - 3]}-{number}" for number in range(2, 100))]
    return next(it for it in names if it not in taken)


def agreed(asked: Invocation, items: Sequence[dict[str, Any]], *, yes: bool) -> bool:
    """Show what would be written and ask. Raises: ``UsageError`` when nobody is there to answer."""
    if yes:
        return True
    if not sys.stdin.isatty() or asked.as_json:
        raise click.UsageError("nobody is there to be asked; look with --dry-run, then say --yes")
    click.echo(written(asked, items, dry_run=True), err=True)
    return click.confirm(f"Write this into {asked.path}?", err=True)


def written(asked: Invocation, items: Sequence[dict[str, Any]], *, dry_run: bool) -> str:
    """Write the credentials into the configuration, or only show them; say what comes next."""
    from rotator.config_edit import add_credentials, block_of  # noqa: PLC0415 - it imports pydantic

    if dry_run:
        lines = block_of(items).splitlines()
        head = f"{asked.path}  would get under credentials:"
    else:
        lines = add_credentials(asked.path, items, lambda path: valid(path, asked.path)).splitlines()
        head = f"{asked.path}  changed"
    names = " ".join(str(item["name"]) for item in items)
    ending = "put each token's id and secret into its record, where PVE's are not shown again; then: rotate adopt"
    return "\n".join([head, *(f"{INDENT}+ {line}" for line in lines), f"{INDENT}next: {ending} {names}"])


def valid(written_at: Path, path: Path) -> None:
    """Check the file that is about to take the place of another. Raises: ``InvalidConfigError``, by the right name."""
    try:
        settings = config.load(written_at, find_backend=registry.find, environ=os.environ)
    except InvalidConfigError as error:
        raise InvalidConfigError(path, error.problems) from None
    for backend in settings.backends.values():
        backend.close()
