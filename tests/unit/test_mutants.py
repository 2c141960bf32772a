"""The check by mutants sees all functions, and knows which of its survivors are explained."""

from __future__ import annotations

from tests.mutants.explained import Mutant, explained, of_diff
from tests.mutants.tree import undecorated

CODE = '''class View:
    @property
    def now(self) -> int:
        """Tell."""
        return 1

    @staticmethod
    def kept() -> int:
        return 2
'''
DIFF = """--- rotator/view.py
+++ rotator/view.py
@@ -1,3 +1,3 @@
 def now():
-    return 1
+    return 2
"""


def test_a_property_is_a_function_in_sight_and_still_a_property() -> None:
    """What the mutants are made of means the same as the product."""
    space: dict[str, type] = {}
    exec(undecorated(CODE), space)  # noqa: S102 - the text above

    assert "@property" not in undecorated(CODE)
    assert (space["View"]().now, space["View"].kept()) == (1, 2)  # type: ignore[attr-defined] # made by exec


def test_a_mutant_is_known_by_the_line_that_it_changes() -> None:
    """Not by its number, which every change of the file would move."""
    assert of_diff("rotator.view.now", DIFF) == Mutant("rotator.view.now", "return 1", "return 2")


def test_each_explanation_is_one() -> None:
    """A function of a module of ours, a change, and a reason in words."""
    assert all(mutant.where.startswith("rotator.") and mutant.was != mutant.becomes for mutant in explained())
    assert all(reason.strip() for reason in explained().values())
