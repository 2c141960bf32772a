"""Setting up: from a PVE that knows nothing of us to an operator, a managed user and a configuration; and back again.

Observe (``present``), plan (``plan``, ``undo``: pure), act (``work``), as in a rotation. What is wanted is a list of
``things``; what is missing of it is made, one call each, and a repeat finds it there. What was made is remembered where
a repeat finds it: in the comments of users, groups and tokens, and, because roles and permissions have none, in the
comments at the end of the configuration (``journal``), which is written before the first change.
"""
