"""Each safeguard is needed: without it the exploration sees a promise broken, and with all of them it sees none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.explore.without import REMOVALS, Edit, Removal, edited, explored, product


@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: removal.safeguard)
def test_without_this_safeguard_a_promise_is_broken(tmp_path: Path, removal: Removal) -> None:
    """Taken out of a copy of the product, which is then explored as far as it takes to miss it."""
    run = explored(product(tmp_path, removal.edits), "crash", removal.explores)
    assert (run.returncode, "Traceback" in run.stderr) == (1, False), run.stdout + run.stderr
    assert f": {removal.breaks}: " in run.stdout
    assert "--replay '" in run.stdout


@pytest.mark.parametrize(
    "removal", [it for it in REMOVALS if it.races], ids=lambda removal: f"{removal.safeguard}, in a race"
)
def test_without_this_safeguard_a_race_breaks_a_promise(tmp_path: Path, removal: Removal) -> None:
    """What is merged, because it comes to the same, hides nothing: the schedule that shows it is still played."""
    run = explored(product(tmp_path, removal.edits), "race", removal.races)
    assert (run.returncode, "Traceback" in run.stderr) == (1, False), run.stdout + run.stderr
    assert ": I" in run.stdout
    assert "--replay '" in run.stdout


@pytest.mark.parametrize("options", sorted({removal.explores for removal in REMOVALS}))
def test_the_whole_product_breaks_no_promise_there(tmp_path: Path, options: str) -> None:
    """The same exploration of a copy from which nothing was taken out: it is the removal that is seen, not the copy."""
    run = explored(product(tmp_path), "crash", options)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("count", [0, 2])
def test_a_removal_that_removes_nothing_is_an_error(count: int) -> None:
    """When the source has changed, somebody must say anew what is to be taken out."""
    with pytest.raises(LookupError, match=f"plan.py has this {count} times, not once: abc"):
        edited("abc " * count, Edit("plan.py", "abc", ""))
