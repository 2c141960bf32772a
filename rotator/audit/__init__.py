"""The audit trail: a line of JSON for each event, appended to a file by any number of processes, chained by hashes.

::

    Event ─> lines (what a line says) ─> recorder (what becomes of a line that cannot be written)
                                            │
                 chain (seal, pure) <── trail (lock, mend, append) ──> file <── reading ──> history
                        ^                                                           │
                        └────────────────── check (which line is wrong, pure) <─────┘

No library is taken for it: those for structured logs write lines, and do none of locking, chaining and mending; those
that chain are services of their own.
"""
