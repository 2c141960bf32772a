"""The workflows of the public repository."""
