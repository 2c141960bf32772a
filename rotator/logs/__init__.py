"""What a run writes down while it works: one line for each rotation, and everything that it was made of at ``debug``.

::

    Event ──> Rotations ──> one line ─┐            ┌─> text, for people
    Event ──────────────────> debug ──┼─> Log ─────┤
    warnings of libraries ────────────┘  redaction └─> JSON, for machines

``redaction`` hides what must not be there whoever wrote it, ``rotations`` puts the events of a rotation together,
``lines`` writes. structlog makes the lines; ``lines`` alone knows it and imports it when a log is opened, because most
calls of the program have none.
"""
