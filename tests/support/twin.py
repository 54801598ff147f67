"""A registry that a Docker engine of the test's own can reach: that engine's network has no other host."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping

from support.dockerd import Dockerd
from support.processes import end
from support.registry import DockerRegistry

__all__ = ["certificates_inside", "first_process", "twin"]

_SECONDS = 20


def first_process(engine: Dockerd) -> str:
    """Return the id of the engine's process, in whose namespaces things can be done."""
    listing = subprocess.run(["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    lines = [line.split(None, 1) for line in listing.splitlines() if engine.data_root in line]
    return next(pid for pid, arguments in lines if os.path.basename(arguments.split()[0]) == "dockerd")


@contextlib.contextmanager
def twin(registry: DockerRegistry, engine: Dockerd, address: str = "127.0.0.1") -> Iterator[str]:
    """Serve the registry's data in the network of `engine` too, at `address` and the same port; yield `host:port`."""
    inside = ["nsenter", "-t", first_process(engine), "-n"]
    port = registry.host.rpartition(":")[2]
    host = f"{address}:{port}"
    if address != "127.0.0.1":
        subprocess.run([*inside, "ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
    path = pathlib.Path(registry.root).parent / f"twin-{address}.yml"
    config = json.loads((path.parent / "config.yml").read_text())
    config["http"]["addr"] = host
    path.write_text(json.dumps(config))
    environment = {"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"}
    log = path.with_suffix(".log")
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*inside, "docker-registry", "serve", str(path)], stdout=output, stderr=output, env=environment
        )
    try:
        deadline = time.monotonic() + _SECONDS
        while b"listening on" not in log.read_bytes():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the twin did not come up: {log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield host
    finally:
        server.kill()
        end(server)


@contextlib.contextmanager
def certificates_inside(engine: Dockerd, files: Mapping[str, str]) -> Iterator[None]:
    """Let `engine`, and nobody else, find `files` (source paths by path) below /etc/docker/certs.d."""
    inside = ["nsenter", "-t", first_process(engine), "-m"]
    top = tempfile.mkdtemp(prefix="etc-")
    try:
        for path, source in files.items():
            target = os.path.join(top, "upper/docker/certs.d", path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(source, target)
        os.makedirs(os.path.join(top, "work"))
        options = f"lowerdir=/etc,upperdir={top}/upper,workdir={top}/work"
        subprocess.run([*inside, "mount", "-t", "overlay", "overlay", "-o", options, "/etc"], check=True)
        yield
        subprocess.run([*inside, "umount", "-l", "/etc"], check=False)
    finally:
        shutil.rmtree(top, ignore_errors=True)
