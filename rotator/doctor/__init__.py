"""``rotate doctor``: gather evidence, changing nothing, then name what is wrong by an ordered list of small checks."""
