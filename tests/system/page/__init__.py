"""The status page in Debian's Chromium."""
