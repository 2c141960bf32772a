"""Tests with real programs, which ``requirements/debian.txt`` names: ``make test-system``."""
