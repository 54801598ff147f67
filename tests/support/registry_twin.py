"""A registry that an engine in a network namespace of its own can reach."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from support.dockerd import Dockerd
from support.processes import end
from support.registry import PASSWORD, USER, DockerRegistry

__all__ = ["registry_twin"]


@contextlib.contextmanager
def registry_twin(registry: DockerRegistry, engine: Dockerd) -> Iterator[None]:
    """Serve the data of `registry` at the same address in the network of `engine` too, which sees no other."""
    path = Path(registry.root).parent / "twin.yml"
    config = json.loads((path.parent / "config.yml").read_text())
    config["http"]["addr"] = registry.host
    path.write_text(json.dumps(config))
    command = ["nsenter", "-t", _pid(engine), "-n", "docker-registry", "serve", str(path)]
    environment = {"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"}
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        for _ in range(100):
            found = engine.docker("login", "-u", USER, "-p", PASSWORD, registry.host, check=False)
            if b"Login Succeeded" in found:
                break
            time.sleep(0.05)
        yield
    finally:
        server.kill()
        end(server)


def _pid(engine: Dockerd) -> str:
    listing = subprocess.run(["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    lines = [line.split(None, 1) for line in listing.splitlines() if engine.data_root in line]
    return next(pid for pid, arguments in lines if os.path.basename(arguments.split()[0]) == "dockerd")
