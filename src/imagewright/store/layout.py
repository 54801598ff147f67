"""Where things are below the data root."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from imagewright.archive import OWN_TAR
from imagewright.oci import Digest
from imagewright.store.disk import sync_directory, translated
from imagewright.store.trash import Trash

__all__ = ["Layout"]

_FS = "fs"
_UNPACKED = "unpacked-"
_COMPRESSED = "blob-"


@dataclass(frozen=True, slots=True)
class Layout:
    """The names of files and directories below `root`.

    ::

        lock                        one process per root
        db.sqlite                   the metadata
        blobs/sha256/DIGEST         bytes by their digest: the tars of layers
        layers/DIFF_ID/index        the layer as a value
        layers/DIFF_ID/sparse       contents with holes, where the tar has such members
        layers/DIFF_ID/fs/          the directory form, of a layer that was captured as one
        layers/DIFF_ID/blob-DIGEST  the layer as it came from a registry or went to one, compressed
        layers/DIFF_ID/unpacked-*/  the directory form, derived from the tar
        logs/CONTAINER              what the process of a container printed
        caches/                     the directories of cache mounts
        ingest/                     what is not finished; emptied at start
        trash/                      what is no longer needed and not removed yet
    """

    root: str
    boot: str
    """Names the time since the machine was started: what is not written to the disk on purpose lasts as long."""
    trash: Trash = field(compare=False, repr=False)
    """Removes what is no longer needed, without anybody waiting for it."""

    @classmethod
    def at(cls, root: str) -> "Layout":
        """Return the layout below `root`; raise `OSError` where the kernel does not say when it was started."""
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return cls(root, file.read().strip().replace("-", ""), Trash(f"{root}/trash"))

    @property
    def lock(self) -> str:
        """The file that is locked."""
        return f"{self.root}/lock"

    @property
    def database(self) -> str:
        """The SQLite file."""
        return f"{self.root}/db.sqlite"

    @property
    def blobs(self) -> str:
        """The directory of everything that is kept by its digest."""
        return f"{self.root}/blobs/sha256"

    @property
    def layers(self) -> str:
        """The directory with a directory for each layer."""
        return f"{self.root}/layers"

    @property
    def caches(self) -> str:
        """The directory with a directory for each cache mount."""
        return f"{self.root}/caches"

    @property
    def ingest(self) -> str:
        """The directory of what is not finished."""
        return f"{self.root}/ingest"

    @property
    def logs(self) -> str:
        """The directory with what the processes of containers printed."""
        return f"{self.root}/logs"

    def log(self, container: str) -> str:
        """What the process of one container printed."""
        return f"{self.logs}/{container}"

    def blob(self, digest: Digest) -> str:
        """Where the bytes with `digest` are."""
        return f"{self.blobs}/{digest.encoded}"

    def layer(self, diff_id: Digest) -> str:
        """The directory of one layer."""
        return f"{self.layers}/{diff_id.encoded}"

    def index(self, diff_id: Digest) -> str:
        """The layer as a value."""
        return f"{self.layer(diff_id)}/index"

    def captured(self, diff_id: Digest) -> str:
        """The directory form of a layer that was captured as one."""
        return f"{self.layer(diff_id)}/{_FS}"

    def compressed(self, diff_id: Digest, digest: Digest) -> str:
        """The compressed form of a layer that has `digest`; beside the layer, so that it goes with it."""
        return f"{self.layer(diff_id)}/{_COMPRESSED}{digest.encoded}"

    def list_compressed(self, diff_id: Digest) -> list[Digest]:
        """Return the digests of the compressed forms of a layer that are on the disk; none of a layer that is lost."""
        try:
            names = os.listdir(self.layer(diff_id))
        except FileNotFoundError:
            return []
        return [Digest(name.removeprefix(_COMPRESSED)) for name in names if name.startswith(_COMPRESSED)]

    def unpacked(self, diff_id: Digest, below: Digest | None) -> str:
        """The derived directory form; `below` is the chain_id of the layers it was made for, where that matters."""
        return f"{self.layer(diff_id)}/{self._unpacked}" + (f"-{below.encoded}" if below is not None else "")

    def stale(self, diff_id: Digest) -> list[str]:
        """Return the derived directory forms from before the machine was started; they may lack what was not synced."""
        names = os.listdir(self.layer(diff_id))
        stale = [name for name in names if name.startswith(_UNPACKED) and not name.startswith(self._unpacked)]
        return [f"{self.layer(diff_id)}/{name}" for name in stale]

    @property
    def _unpacked(self) -> str:
        return f"{_UNPACKED}{self.boot}"

    def locate(self, diff_id: Digest, name: str) -> str:
        """Return the path for the `name` that a layer's index has for the place of some bytes."""
        return self.blob(diff_id) if name == OWN_TAR else f"{self.layer(diff_id)}/{name}"

    def make(self) -> None:
        """Make the directories that are missing, readable by their owner alone."""
        blobs, trash = f"{self.root}/blobs", self.trash.directory
        for directory in (self.root, blobs, self.blobs, self.layers, self.logs, self.ingest, trash):
            try:
                os.mkdir(directory, 0o700)
            except FileExistsError:
                continue
            sync_directory(os.path.dirname(directory))

    @contextmanager
    def scratch(self) -> Iterator[str]:
        """Make a private directory in `ingest/`, give its path, and take it away with all that is in it at the end.

        Where that is much, it is removed later.
        """
        path = f"{self.ingest}/{secrets.token_hex(8)}"
        with translated("cannot make a temporary directory"):
            os.mkdir(path, 0o700)
        try:
            yield path
        finally:
            with translated("cannot remove a temporary directory"):
                self.trash.throw(path)
