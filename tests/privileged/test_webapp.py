"""A real project on a Debian base: real programs on a real network, and caches without which a rebuild would fail."""

import ast
import base64
import io
import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.bases import debian_base
from support.builder import context
from support.clients import client_library
from support.daemon import Daemon, daemon
from support.unixhttp import request

pytestmark = pytest.mark.privileged("mmdebstrap")

_EXAMPLE = Path(__file__).parents[2] / "examples" / "webapp"
_MARKER = secrets.token_hex(16)
_SECONDS = 300.0
# Nobody answers there: the name cannot be.
_NOWHERE = f"[global]\n# {_MARKER}\nindex-url = https://index.invalid/simple\n"
# Whom the image runs as; what of the caches, the secret and the compiler is in it, and what was compiled.
_LOOK = """\
FROM webapp
RUN id -un
USER root
RUN find / -xdev -type f '(' -name '*.deb' -o -name '*.whl' -o -name pip.conf -o -name gcc -o -name '_speedups*.so' \
    -o -name '*_Packages' ')'
"""
# Without a network names are not there the second time either.
_IMPATIENT = """\
FROM debian
RUN echo 'Acquire::Retries "0";' > /etc/apt/apt.conf.d/impatient
"""


@dataclass(frozen=True)
class World:
    """A daemon with a Debian base, a client as it comes, and a copy of the example to be changed."""

    daemon: Daemon
    client: Any
    project: Path

    def build(self, **options: Any) -> list[str]:
        """Build; return the text of the steps with what each printed, and after it that of their end."""
        parts = list(self.client.api.build(rm=True, decode=True, **options))
        text = "".join(part.get("stream", "") for part in parts)
        assert "Successfully built" in text, text + json.dumps(parts[-1])
        return text.split("\nStep ")

    def build_example(self, configuration: str, **options: Any) -> list[str]:
        """Build the project with that of pip as a secret."""
        lent = {"pip.conf": base64.b64encode(configuration.encode()).decode()}
        self.client.api.headers["X-Build-Secrets"] = base64.urlsafe_b64encode(json.dumps(lent).encode()).decode()
        try:
            return self.build(path=str(self.project), tag="webapp", **options)
        finally:
            del self.client.api.headers["X-Build-Secrets"]

    def build_text(self, dockerfile: str, **options: Any) -> list[str]:
        """Build a Dockerfile that needs no files."""
        return self.build(fileobj=io.BytesIO(context(dockerfile)), custom_context=True, **options)

    def files_with(self, text: str) -> list[str]:
        """Return the files of the daemon that hold `text`."""
        found = subprocess.run(
            ["grep", "-rlF", text, self.daemon.data_root, self.daemon.log], capture_output=True, text=True, check=False
        )
        return found.stdout.splitlines()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    docker = client_library("docker")
    project = tmp_path / "webapp"
    shutil.copytree(_EXAMPLE, project)
    with daemon(str(tmp_path)) as running:
        with open(debian_base(), "rb") as base:
            status, body = request(running.socket, "POST", "/images/create?fromSrc=-&repo=debian", base)
        assert status == 200, body
        client = docker.DockerClient(running.host, timeout=_SECONDS)
        yield World(running, client, project)
        client.close()


def _configuration() -> str:
    """Return a configuration of pip with which a RUN has its packages from where this machine has them.

    No certificates are named: Debian's pip takes Debian's, and among those of the base are this machine's.
    """
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    lines = sorted(listing.stdout.splitlines(), key=lambda line: line.startswith(":env:"))
    settings = {
        name.rpartition(".")[2]: ast.literal_eval(value) for name, _, value in (li.partition("=") for li in lines)
    }
    indexes = {
        name: " ".join(word for word in settings.get(name, "").split() if word.startswith("http"))
        for name in ("index-url", "extra-index-url")
    }
    chosen = {**indexes, "trusted-host": " ".join(settings.get("trusted-host", "").split())}
    return "".join([f"[global]\n# {_MARKER}\n", *(f"{name} = {value}\n" for name, value in chosen.items() if value)])


def _step(steps: list[str], instruction: str) -> str:
    """Return the one that holds `instruction`."""
    (found,) = [step for step in steps if instruction in step.partition("\n ---> ")[0]]
    return found


@pytest.mark.timeout(_SECONDS)
def test_a_changed_source_is_built_again_from_the_caches_alone(world: World) -> None:
    first = world.build_example(_configuration(), buildargs={"BASE": "debian"})
    assert "Setting up gcc " in _step(first, "python3-venv")
    assert "Building wheel for markupsafe" in _step(first, "target=/wheels")
    assert "<p>Hello, &lt;you&gt;!</p>" in _step(first, "webapp.check()")

    source = world.project / "src" / "webapp" / "__init__.py"
    source.write_text(source.read_text(encoding="utf-8").replace('"Hello"', '"Good day"'), encoding="utf-8")
    second = world.build_example(_NOWHERE, buildargs={"BASE": "debian"})
    assert " ---> Using cache" in _step(second, "python3-venv")
    assert " ---> Using cache" not in _step(second, "COPY . /source")
    assert "Processing /wheels/markupsafe" in _step(second, "target=/wheels")
    assert "Building wheel for markupsafe" not in _step(second, "target=/wheels")
    assert "<p>Good day, &lt;you&gt;!</p>" in _step(second, "webapp.check()")

    look = world.build_text(_LOOK)
    assert "\nnobody\n" in _step(look, "id -un")
    (kept,) = [line for line in _step(look, "RUN find").splitlines() if line.startswith("/")]
    assert "/site-packages/markupsafe/_speedups" in kept

    # Another base and no network: this step cannot come from the build cache, nor its packages from elsewhere.
    world.build_text(_IMPATIENT, tag="impatient")
    offline = world.build_example("", buildargs={"BASE": "impatient"}, target="system", network_mode="none")
    assert "Need to get 0 B/" in _step(offline, "--no-install-recommends python3")

    assert world.files_with("greets whoever asks")
    assert world.files_with(_MARKER) == []
