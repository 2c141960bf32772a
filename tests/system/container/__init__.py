"""The image, built by a Docker daemon of its own on a base made of Debian's packages, and run as it is deployed."""
