"""What answers as OpenBao does, in an image of that name: ``bao``, where the machine has it, and always a simulation.

The simulation is a program that takes the same arguments.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from tests.system.container.daemon import Docker
from tests.system.container.image import NAME

SIMULATION = '''\
#!/opt/rotate/bin/python
"""Do what `bao server -dev` does, and `bao status`, in memory."""
import argparse, signal, sys, threading, urllib.request
from rotator.testing.vault import SimulatedVault

parser = argparse.ArgumentParser()
parser.add_argument("command", choices=["server", "status"])
parser.add_argument("-dev", action="store_true")
for name in ("-dev-root-token-id", "-dev-listen-address", "-address"):
    parser.add_argument(name, default="")
given = parser.parse_args()
signal.signal(signal.SIGTERM, lambda *_: sys.exit()) # the first process of a container has no default for it
if given.command == "status":
    urllib.request.urlopen(f"{given.address}/v1/sys/health", timeout=5)
    sys.exit()
with SimulatedVault(tls=False, port=int(given.dev_listen_address.rpartition(":")[2])) as vault:
    known = vault.core.tokens.all
    root = known.pop(vault.root_token)
    root.id = vault.core.root = given.dev_root_token_id
    known[root.id] = root
    threading.Event().wait()
'''

BAO = shutil.which("bao")
SERVERS: Mapping[str, str] = {"simulated": "", **({"openbao": BAO} if BAO else {})}
"""What stands in OpenBao's place, and where a program of it is."""


def offer_openbao(docker: Docker, image: str, server: str) -> None:
    """Have an image of that name: ours, with the program that the other one starts."""
    folder = docker.folder / f"image-of-{server}"
    folder.mkdir(exist_ok=True)
    program = folder / "bao"
    if SERVERS[server]:
        shutil.copyfile(SERVERS[server], program)
    else:
        program.write_text(SIMULATION, encoding="utf-8")
    program.chmod(0o755)
    lines = [f"FROM {NAME}", "COPY bao /usr/local/bin/bao", "ENV HOME=/tmp", 'ENTRYPOINT ["/usr/local/bin/bao"]']
    (folder / "Dockerfile").write_text("\n".join(lines), encoding="utf-8")
    docker.do("build", f"--tag={image}", str(folder))
