"""How fast it is and what it costs: ``make bench``. Timings live here and nowhere in the tests."""
