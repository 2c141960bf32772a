"""The units: what systemd says of them, and the page that installs them, typed on a copy of this machine."""
