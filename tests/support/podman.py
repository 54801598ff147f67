"""Podman with a storage of a test's own."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["podman_storage"]


@contextlib.contextmanager
def podman_storage(directory: Path) -> Iterator[tuple[str, ...]]:
    """Yield the options that keep podman's images in `directory`, and what runs in a place that is removed again."""
    # Podman takes no more than 50 characters, fewer than a temporary directory of pytest has.
    with tempfile.TemporaryDirectory(prefix="podman-") as run:
        yield ("--root", str(directory / "podman"), "--runroot", run, "--storage-driver", "vfs")
