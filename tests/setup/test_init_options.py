"""Options of ``rotate init`` that cannot be, and what is there already under another name."""

from __future__ import annotations

import pytest

from tests.setup.lab import OPERATOR, Lab, changing


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--name", "Ci!x"), "Invalid value for --name: not a name; write small letters, digits and -"),
        (("--name", "1ci"), "Invalid value for --name: PVE token names begin with a letter"),
        (("--operator", "rotator"), "Invalid value for --operator: a user without its realm; write rotator@pve"),
        (("--operator", "ci@pve"), "ci@pve would manage its own tokens"),
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


def test_an_operator_that_is_there_is_called_by_its_own_name(new: Lab) -> None:
    """A second configuration beside the first uses the token that the record holds, whatever a new one would be."""
    new.init()
    (token,) = new.pve.tokens(OPERATOR)
    new.config.rename(new.config.with_name("other.yaml"))
    result = new.init()
    assert result.exit_code == 0
    assert f"there  token {OPERATOR} {token}\n" in result.stdout
    assert new.pve.tokens(OPERATOR) == [token]
