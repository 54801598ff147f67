"""An embedded engine for tests, and what they ask of it."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagewright.engine import BuildRequest, Engine
from imagewright.events import CacheHit, Event, Output, StepStarted
from imagewright.oci import Digest
from imagewright.reference import Reference
from support.builder import Content, context

__all__ = ["Entry", "Log", "build", "cgroups", "flatten", "leftovers", "processes", "reference", "saved"]

_REMOVAL_SECONDS = 20.0


@dataclass
class Log:
    """A reporter that remembers."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def output(self) -> str:
        """What the RUNs wrote, both channels."""
        return b"".join(event.data for event in self.events if isinstance(event, Output)).decode(errors="replace")

    @property
    def hits(self) -> int:
        """How many steps came from the cache."""
        return sum(isinstance(event, CacheHit) for event in self.events)

    @property
    def steps(self) -> list[str]:
        """The texts of the steps, in the order in which they were told."""
        return [event.text for event in self.events if isinstance(event, StepStarted)]


def reference(text: str) -> Reference:
    """Return the reference that `text` spells, with its default tag."""
    return Reference.parse(text).with_default_tag()


def build(
    engine: Engine,
    dockerfile: str,
    files: Mapping[str, Content] | None = None,
    *,
    request: BuildRequest | None = None,
    log: Log | None = None,
) -> Digest:
    """Build `dockerfile` with `files` beside it."""
    return engine.build(io.BytesIO(context(dockerfile, files)), request, report=log or Log())


@dataclass(frozen=True)
class Entry:
    """One path of a flattened image, as far as two engines should agree on it."""

    type: str
    mode: int
    uid: int
    gid: int
    size: int
    target: str
    data: bytes
    xattrs: tuple[tuple[str, str], ...]


def saved(engine: Engine, name: str) -> bytes:
    """Return the archive that `save` writes of one image."""
    out = io.BytesIO()
    engine.save([name], out)
    return out.getvalue()


def flatten(archive: bytes) -> tuple[dict[str, Entry], dict[str, Any]]:
    """Return the files of the one image in a docker-archive by path, and its configuration.

    Written with the standard library's tar reader, to owe nothing to what it checks. A hard link's `target` is the
    first path, in order, of those that share its file.
    """
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        manifest = json.loads(_read(tar, "manifest.json"))[0]
        config = json.loads(_read(tar, manifest["Config"]))
        files: dict[str, tuple[tarfile.TarInfo, bytes, int]] = {}
        for number, layer in enumerate(manifest["Layers"]):
            _apply(_read(tar, layer), files, number)
    groups: dict[int, list[str]] = {}
    for path, (_, _, inode) in files.items():
        groups.setdefault(inode, []).append(path)
    return {
        path: _entry(info, data, min(groups[inode]) if len(groups[inode]) > 1 else "")
        for path, (info, data, inode) in sorted(files.items())
    }, config


def _entry(info: tarfile.TarInfo, data: bytes, linked: str) -> Entry:
    prefix = "SCHILY.xattr."
    xattrs = tuple(sorted((k.removeprefix(prefix), v) for k, v in info.pax_headers.items() if k.startswith(prefix)))
    kind = "file" if info.isreg() or info.islnk() else info.type.decode()
    target = info.linkname if info.issym() else linked
    # dockerd leaves the bits of the type in the mode.
    return Entry(kind, info.mode & 0o7777, info.uid, info.gid, len(data), target, data, xattrs)


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None, name
    return file.read()


def _apply(layer: bytes, files: dict[str, tuple[tarfile.TarInfo, bytes, int]], number: int) -> None:
    def remove(path: str, *, itself: bool) -> None:
        for other in [p for p in files if p.startswith(f"{path}/" if path else "") or (itself and p == path)]:
            del files[other]

    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        members = [(info, info.name.removeprefix("./").strip("/")) for info in tar]
        for _, path in members:
            directory, _, name = path.rpartition("/")
            if name == ".wh..wh..opq":
                remove(directory, itself=False)
            elif name.startswith(".wh."):
                remove(f"{directory}/{name[4:]}".lstrip("/"), itself=True)
        for offset, (info, path) in enumerate(members):
            if path.rpartition("/")[2].startswith(".wh.") or path in {"", "."}:
                continue
            if not info.isdir() or (path in files and not files[path][0].isdir()):
                remove(path, itself=True)
            inode = (number << 32) + offset
            if info.islnk():
                source = files[info.linkname.removeprefix("./").strip("/")]
                files[path] = source
                continue
            file = tar.extractfile(info) if info.isreg() else None
            files[path] = (info, file.read() if file else b"", inode)


def leftovers(data_root: str) -> list[str]:
    """Return what of an idle engine at `data_root` should not be there: mounts, temporary files, processes, cgroups."""
    _wait_for_removals(os.path.join(data_root, "trash"))
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    own = str(os.getpid())
    return [
        *(mount for mount in mounts if mount.startswith(data_root)),
        # A walk goes on where something vanishes meanwhile.
        *(
            os.path.join(directory, name)
            for top in ("ingest", "run", "trash")
            for directory, _, names in os.walk(os.path.join(data_root, top))
            # These are kept for the containers to come, no more than a few.
            if not directory.startswith(os.path.join(data_root, "run", "mount-points"))
            for name in names
        ),
        *(line for line in processes() if data_root in line and line.split()[0] != own and " serve " not in line),
    ]


def _wait_for_removals(trash: str) -> None:
    """Wait until everything is removed that is on its way, if it comes to that."""
    deadline = time.monotonic() + _REMOVAL_SECONDS
    while os.path.isdir(trash) and os.listdir(trash) and time.monotonic() < deadline:
        time.sleep(0.01)


def cgroups(data_root: str) -> list[str]:
    """Return the control groups of the sandbox of the engine at `data_root`, which are named after it."""
    name = hashlib.sha256(f"{data_root}/run".encode()).hexdigest()[:12]
    tops = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]
    return [str(path) for top in tops if top.is_dir() for path in top.glob(f"imagewright-{name}*")]


def processes() -> list[str]:
    """Return a line for each process of the machine: its id and its arguments."""
    listing = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True)
    return [line for line in listing.stdout.splitlines() if not line.endswith("ps -eo pid,args")]
