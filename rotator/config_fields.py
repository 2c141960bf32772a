"""From ``preset``, ``fields`` and ``canonical`` of a destination to its shape."""

from __future__ import annotations

from collections.abc import Mapping

from rotator.config_schema import ClusterPart, PlacePart
from rotator.faults import InvalidValueError
from rotator.model import TOKEN_ID_KEY, TOKEN_SECRET_KEY
from rotator.presets import PRESETS
from rotator.shape import CANONICAL, Shape
from rotator.template import Template
from rotator.yaml_lines import Loc

Site = tuple[tuple[str, str], ...]
"""What a cluster gives to the fields of its credentials, by the name of the variable."""

Fault = tuple[Loc, InvalidValueError]
"""Where it stands below the destination, and what is wrong."""

_MEANT = {TOKEN_ID_KEY: "{token_id}", TOKEN_SECRET_KEY: "{secret}"}


def site_of(name: str, cluster: ClusterPart) -> Site:
    """Tell how consumers reach a cluster: by the first of its endpoints."""
    return site_at(name, cluster.endpoints[0], skips=cluster.tls.unsafe_skip_verification)


def site_at(name: str, endpoint: str, *, skips: bool = False) -> Site:
    """Tell how consumers reach a cluster of that name; ``skips``: they check no certificate."""
    host, _, port = endpoint.rpartition(":")
    return (
        ("cluster", name),
        ("host", host),
        ("port", port),
        ("endpoint_url", f"https://{endpoint}"),
        ("api_url", f"https://{endpoint}/api2/json"),
        ("verify_ssl", str(not skips).lower()),
        ("insecure", str(skips).lower()),
    )


def shape_of(place: PlacePart, site: Site) -> tuple[Shape, list[Fault]]:
    """Make the shape of a destination, and tell what is wrong with it."""
    return shaped(site, preset=place.preset, fields=place.fields, canonical=place.canonical)


def shaped(
    site: Site, *, preset: str | None, fields: Mapping[str, str] | None, canonical: bool | None
) -> tuple[Shape, list[Fault]]:
    """Make a shape of what is said of it, and tell what is wrong with it."""
    texts = {**(PRESETS[preset].fields if preset else {}), **(fields or {})}
    shape = Shape(tuple((key, Template.parse(text)) for key, text in texts.items()), site if texts else ())
    if not texts:
        return CANONICAL, [_unreadable("no fields show the token")] if canonical is False else []
    if canonical is False and not shape.is_invertible:
        return shape, [_unreadable("the token cannot be read back out of these fields")]
    is_canonical = canonical or not shape.is_invertible
    shape = Shape(shape.fields, shape.constants, is_canonical)
    return shape, list(_clashes(texts)) if is_canonical else []


def _unreadable(why: str) -> Fault:
    advice = "take canonical: false away, or let the fields show id and secret, for example as {token}"
    return ("canonical",), InvalidValueError(f"{why}, so token_id and token_secret are needed", advice)


def _clashes(texts: Mapping[str, str]) -> list[Fault]:
    """Find fields that mean something else by the keys that are to be kept beside them."""
    advice = "call it something else, or let the fields show id and secret, for example as {token}"
    return [
        (("fields", key), InvalidValueError(f"the key {key} is needed for {meant}", advice))
        for key, meant in _MEANT.items()
        if texts.get(key, meant) != meant
    ]
