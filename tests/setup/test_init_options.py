"""Options of ``rotate init`` that cannot be, and what is there already under another name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.setup.lab import OPERATOR, Lab, changing


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--name", "Ci!x"), "Invalid value for --name: not a name; write small letters, digits and -"),
        (("--name", "1ci"), "Invalid value for --name: PVE token names begin with a letter"),
        (("--operator", "rotator"), "Invalid value for --operator: a user without its realm; write rotator@pve"),
        (("--operator", "ci@pve"), "ci@pve would manage its own tokens"),
        (("--user", "ci@nowhere"), "PVE has no realm nowhere, so no user ci@nowhere do: there is pam, pve"),
        (("--operator", "rotator@ldap"), "PVE has no realm ldap, so no user rotator@ldap do: there is pam, pve"),
        (("--group", "the rotated"), "Invalid value for --group: not the name of a group; write for example rotated"),
        (("--group", "rotàted"), "Invalid value for --group: not the name of a group"),
        (("--role", "Token Rotator"), "Invalid value for --role: not the name of a role"),
        (("--place", "path=2026-13-45"), "write KEY=VALUE"),
        (("--place", "path=!!int x"), "write KEY=VALUE"),
        (("--place", f"path={'[' * 3000}"), "write KEY=VALUE"),
        (("--store", "vault", "--store-setting", "address=vault.lan"), "backends.vault.address: must be a URL such as"),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_shown(new: Lab, options: tuple[str, ...], said: str) -> None:
    """It is the option that is named, nobody is asked, and nothing is made, not even a configuration."""
    result = new.call("init", *new.options(*options, "--yes"))
    told = " ".join(result.stderr.split())
    assert said in told
    assert "bug" not in told
    assert result.exit_code in {2, 3, 4}
    assert (changing(new.pve), new.files()) == ([], [])


def test_a_user_that_is_there_may_be_of_any_realm(new: Lab) -> None:
    """It need not be made, so its realm does not matter."""
    new.pve.cluster.plant(lambda state: state.with_user("ci@gone", state.users["root@pam"]))
    assert new.init("--user", "ci@gone").exit_code == 0


def test_a_place_that_cannot_be_looked_at_is_told_before_anything_is_made(new: Lab) -> None:
    """Its name is too long for a file; a folder that one may not enter is met in the same way."""
    result = new.init("--operator-place", f"path={new.folder}/{'x' * 300}.json")
    assert result.exit_code == 3
    assert "cannot be read: File name too long" in result.stderr
    assert (changing(new.pve), new.files()) == ([], [])


@pytest.mark.parametrize("name", ["two\nlines", "caf\udce9"])
def test_a_folder_whose_name_no_line_can_hold_is_told_before_anything_is_made(new: Lab, name: str) -> None:
    """The notes name the files that were made, one on a line: such a configuration could not be read, or written."""
    folder = new.folder / name
    folder.mkdir()
    elsewhere = replace(new, folder=folder)
    places = ("--place", f"path={new.folder}/ci.json", "--operator-place", f"path={new.folder}/operator.json")
    result = elsewhere.init(*places)
    assert result.exit_code == 3
    assert "these answers make no configuration; nothing was changed" in result.stderr
    assert (changing(new.pve), elsewhere.files()) == ([], [])


def test_an_operator_that_is_there_is_called_by_its_own_name(new: Lab) -> None:
    """A second configuration beside the first uses the token that the record holds, whatever a new one would be."""
    new.init()
    (token,) = new.pve.tokens(OPERATOR)
    new.config.rename(new.config.with_name("other.yaml"))
    result = new.init()
    assert result.exit_code == 0
    assert f"there  token {OPERATOR} {token}\n" in result.stdout
    assert new.pve.tokens(OPERATOR) == [token]
