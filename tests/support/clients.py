"""The docker command line programs on this machine."""

import functools
import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

__all__ = ["DockerCli", "client_library", "docker_clis"]

_NAMES = ("docker", "docker20", "docker28")


@dataclass(frozen=True)
class DockerCli:
    """A docker program and its version, such as (20, 10, 24)."""

    path: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"docker-{'.'.join(map(str, self.version))}"

    def run(
        self,
        host: str,
        *arguments: str,
        data: bytes | None = None,
        cwd: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the program against the engine at `host` (`unix://...`), with the classic builder and no settings."""
        return subprocess.run(
            [self.path, *arguments],
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            cwd=cwd,
            env={
                "PATH": os.environ["PATH"],
                "HOME": "/nonexistent",
                "DOCKER_HOST": host,
                "DOCKER_BUILDKIT": "0",
                **(environment or {}),
            },
            check=False,
        )

    def ok(self, host: str, *arguments: str, data: bytes | None = None, cwd: str | None = None) -> str:
        """Run the program as `run` does and return what it printed; raise `AssertionError` if it failed."""
        result = self.run(host, *arguments, data=data, cwd=cwd)
        message = f"{self} {' '.join(arguments)}: exit {result.returncode}: {result.stderr.decode(errors='replace')}"
        assert result.returncode == 0, message
        return result.stdout.decode(errors="replace")


@functools.cache
def docker_clis() -> tuple[DockerCli, ...]:
    """Return every distinct docker program on PATH and in the system's directories, oldest version first."""
    directories = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin"]
    found: dict[str, DockerCli] = {}
    for directory in directories:
        for name in _NAMES:
            path = shutil.which(name, path=directory)
            if path and os.path.realpath(path) not in found:
                version = _version(path)
                if version:
                    found[os.path.realpath(path)] = DockerCli(path, version)
    return tuple(sorted({cli.version: cli for cli in found.values()}.values(), key=lambda cli: cli.version))


def client_library(name: str) -> Any:
    """Return the module `name`; skip the test where it is not installed, but under CI, where it must be."""
    if os.environ.get("CI") == "true":
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed")


def _version(path: str) -> tuple[int, ...]:
    """Return the version of the program at `path`, empty if it is another program under docker's name."""
    printed = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"Docker version (\d+(?:\.\d+)*)", printed)
    return tuple(map(int, match[1].split("."))) if match else ()
