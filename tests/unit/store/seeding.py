"""A store with something in it."""

import itertools
import os
from collections.abc import Mapping, Sequence

from imagewright.filesystem import Content, Directory, Extent, File, Layer, Put
from imagewright.oci import Digest, History, ImageConfig, RootfsConfig, RunConfig, encode_config, format_time
from imagewright.reference import Reference
from imagewright.store import Container, Store

__all__ = ["SECOND", "Seed"]

SECOND = 1_000_000_000


class Seed:
    """Puts layers, images and containers into `store`, whose clock it is; `directory` takes the contents' sources."""

    def __init__(self, directory: str) -> None:
        self.root = f"{directory}/root"
        self._directory = directory
        self._count = itertools.count(1)
        self.now_ns = 1_700_000_000 * SECOND
        self.store = Store.open(self.root, clock=self.clock)

    def clock(self) -> int:
        return self.now_ns

    def reopen(self) -> Store:
        """Close the store and open it again."""
        self.store.close()
        self.store = Store.open(self.root, clock=self.clock)
        return self.store

    def file(self, data: bytes, *, mode: int = 0o644) -> File:
        """Return a file whose bytes are kept somewhere outside the store."""
        path = f"{self._directory}/source{next(self._count)}"
        with open(path, "wb") as file:
            file.write(b"....")
            file.write(data)
        return File(mode=mode, content=Content(Digest.of(data), len(data), Extent(path, 4)))

    def value(self, name: str, data: bytes = b"x") -> Layer:
        """Return a layer with a directory and a file in it."""
        return Layer((Put("etc", Directory(mode=0o755)), Put(f"etc/{name}", self.file(data))))

    def layer(self, name: str, data: bytes = b"x") -> Digest:
        """Add such a layer."""
        return self.store.add_layer(self.value(name, data))

    def captured(self, name: str, data: bytes = b"x") -> tuple[Layer, str]:
        """Return a layer as a RUN leaves it: its contents are files of their own, in a new directory of that path."""
        directory = f"{self.root}/ingest/upper{next(self._count)}"
        os.makedirs(f"{directory}/etc")
        path = f"{directory}/etc/{name}"
        with open(path, "wb") as file:
            file.write(data)
        node = File(mode=0o644, content=Content(Digest.of(data), len(data), Extent(path)))
        return Layer((Put("etc", Directory(mode=0o755)), Put(f"etc/{name}", node))), directory

    def image(
        self,
        *names: str,
        layers: Sequence[Digest] = (),
        parent: Digest | None = None,
        created_ns: int | None = None,
        labels: Mapping[str, str] | None = None,
        text: str = "",
    ) -> Digest:
        """Add an image: a new one, created a second after the last, or the one that was added with the same `text`."""
        number = next(self._count)
        created_ns = 1_600_000_000 * SECOND + number * SECOND if created_ns is None else created_ns
        config = ImageConfig(
            architecture="amd64",
            os="linux",
            author=text or str(number),
            config=RunConfig(labels=labels),
            created=format_time(created_ns),
            rootfs=RootfsConfig(diff_ids=tuple(str(layer) for layer in layers)),
            history=tuple(History(created_by=f"step {index}") for index in range(len(layers))),
        )
        references = [Reference.parse(name) for name in names]
        return self.store.add_image(encode_config(config), parent=parent, references=references)

    def container(self, image: Digest, name: str = "") -> Container:
        """Add a container of `image`."""
        number = next(self._count)
        container = Container(
            id=Digest.of(b"container %d" % number).encoded,
            image=image,
            command=("/bin/sh", "-c", "true"),
            created_ns=number,
            exit_code=0,
            name=name or f"name{number}",
        )
        self.store.add_container(container)
        return self.store.get_container(container.id)
