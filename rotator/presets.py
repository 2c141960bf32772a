"""The shapes that well-known consumers want, by name: which keys, what under each. Data, taken from their own code.

A consumer that reads one whole file has one key, called like that file: a key of a Secret, or the file itself in the
file backend's format ``text``. Every value that is not true or false is in quotes there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rotator.faults import InvalidValueError, suggestion


@dataclass(frozen=True, slots=True)
class Preset:
    """One shape, who reads it, and where."""

    consumer: str
    place: str
    """``environment``, ``record`` (single keys), or the name of the file that the text is."""
    fields: Mapping[str, str]


_CSI = """\
clusters:
  - url: "{api_url}"
    insecure: {insecure}
    token_id: "{token_id}"
    token_secret: "{secret}"
    region: "{cluster}"
"""
_PVE_YML = """\
default:
  user: "{userid}"
  token_name: "{token_name}"
  token_value: "{secret}"
  verify_ssl: {verify_ssl}
"""
_TELEGRAF = """\
[[inputs.proxmox]]
  base_url = "{api_url}"
  api_token = "{token}"
  insecure_skip_verify = {insecure}
"""

PRESETS: Mapping[str, Preset] = {
    "ansible": Preset(
        "Ansible's community.proxmox collection, its modules and its inventory",
        "environment",
        {
            "PROXMOX_HOST": "{host}",
            "PROXMOX_PORT": "{port}",
            "PROXMOX_URL": "{endpoint_url}",
            "PROXMOX_USER": "{userid}",
            "PROXMOX_TOKEN_ID": "{token_name}",
            "PROXMOX_TOKEN_SECRET": "{secret}",
            "PROXMOX_VALIDATE_CERTS": "{verify_ssl}",
        },
    ),
    "bpg": Preset(
        "Terraform provider bpg/proxmox",
        "environment",
        {
            "PROXMOX_VE_ENDPOINT": "{endpoint_url}",
            "PROXMOX_VE_API_TOKEN": "{token}",
            "PROXMOX_VE_INSECURE": "{insecure}",
        },
    ),
    "capmox": Preset(
        "cluster-api-provider-proxmox of ionos-cloud, the Secret of `credentialsRef`",
        "record",
        {"url": "{endpoint_url}", "token": "{token_id}", "secret": "{secret}"},
    ),
    "capmox-env": Preset(
        "cluster-api-provider-proxmox of ionos-cloud, its own environment",
        "environment",
        {"PROXMOX_URL": "{endpoint_url}", "PROXMOX_TOKEN": "{token_id}", "PROXMOX_SECRET": "{secret}"},
    ),
    "homepage": Preset(
        "homepage's `proxmox.yaml`, for all nodes",
        "record",
        {"url": "{endpoint_url}", "token": "{token_id}", "secret": "{secret}"},
    ),
    "packer": Preset(
        "packer-plugin-proxmox, Kubernetes image-builder",
        "environment",
        {"PROXMOX_URL": "{api_url}", "PROXMOX_USERNAME": "{token_id}", "PROXMOX_TOKEN": "{secret}"},
    ),
    "proxmox-csi": Preset(
        "proxmox-csi-plugin, proxmox-cloud-controller-manager, karpenter-provider-proxmox",
        "config.yaml",
        {"config.yaml": _CSI},
    ),
    "proxmoxer": Preset(
        "Python programs: `ProxmoxAPI(**json.load(file))`",
        "record",
        {
            "host": "{host}",
            "port": "{port}",
            "user": "{userid}",
            "token_name": "{token_name}",
            "token_value": "{secret}",
        },
    ),
    "pve-exporter": Preset(
        "prometheus-pve-exporter",
        "environment",
        {
            "PVE_USER": "{userid}",
            "PVE_TOKEN_NAME": "{token_name}",
            "PVE_TOKEN_VALUE": "{secret}",
            "PVE_VERIFY_SSL": "{verify_ssl}",
        },
    ),
    "pve-exporter-yml": Preset("prometheus-pve-exporter, its `pve.yml`", "pve.yml", {"pve.yml": _PVE_YML}),
    "pve-sd": Preset(
        "prometheus-pve-sd",
        "environment",
        {
            "PROMETHEUS_PVE_SD_PVE_USER": "{userid}",
            "PROMETHEUS_PVE_SD_PVE_TOKEN_NAME": "{token_name}",
            "PROMETHEUS_PVE_SD_PVE_TOKEN_VALUE": "{secret}",
        },
    ),
    "telegraf": Preset("Telegraf's `inputs.proxmox`", "proxmox.conf", {"proxmox.conf": _TELEGRAF}),
    "telmate": Preset(
        "Terraform provider Telmate/proxmox",
        "environment",
        {
            "PM_API_URL": "{api_url}",
            "PM_API_TOKEN_ID": "{token_id}",
            "PM_API_TOKEN_SECRET": "{secret}",
            "PM_TLS_INSECURE": "{insecure}",
        },
    ),
    "zabbix": Preset(
        "Zabbix template Proxmox VE by HTTP, as Vault secret macros",
        "record",
        {
            "PVE.URL.HOST": "{host}",
            "PVE.URL.PORT": "{port}",
            "PVE.TOKEN.ID": "{token_id}",
            "PVE.TOKEN.SECRET": "{secret}",
        },
    ),
}


def parse_preset(name: str) -> str:
    """Read the name of a preset. Raises: ``InvalidValueError``."""
    if name not in PRESETS:
        raise InvalidValueError("no preset of that name", suggestion(name, PRESETS))
    return name
