"""What can be wrong and what to do about it, written down once: for ``rotate explain``, ``rotate doctor`` and hints."""
