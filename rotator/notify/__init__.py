"""Telling people when something changes for the worse or the better, and not again until it changes.

::

    Change (of the service's board) ─┐           ┌─ Outbox ─> webhook   a queue and a thread for each channel
    Result (of a single run) ────────┴> Vigil ──>┤
                                          ^      └─ Outbox ─> program
                                          └── what was told already: in memory, and in the audit trail

``vigil`` decides, and is pure. Nothing here is waited for by a rotation, and nothing that goes wrong here fails one.
"""
