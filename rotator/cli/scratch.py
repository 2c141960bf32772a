"""The folder for temporary files that some commands cannot do without: missed before they begin, and by its name."""

from __future__ import annotations

import tempfile

from rotator.errors import RefusedError


def require_temporary_folder() -> None:
    """Find the folder for temporary files, once for the process; nothing is left in it.

    Raises: ``RefusedError`` where no file can be written in any, as on a full disk or a file system that is read only.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        message = "there is no folder for temporary files: neither TMPDIR nor /tmp, /var/tmp or this one can be written"
        hint = "set TMPDIR to a folder that can be written and has room, for example TMPDIR=$HOME"
        raise RefusedError(message, hint=hint) from None
