"""``rotate`` as the session leader of the terminal that its streams are: what a shell would have arranged."""

from __future__ import annotations

import fcntl
import termios

from rotator.cli.main import main

if __name__ == "__main__":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    main()
