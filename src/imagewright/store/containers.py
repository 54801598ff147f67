"""Intermediate containers: what RUN steps leave behind when they are not told to remove it."""

import contextlib
import dataclasses
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from imagewright.errors import Conflict, InvalidInput, NotFound
from imagewright.oci import Digest, parse_config
from imagewright.store import schema
from imagewright.store.database import Database
from imagewright.store.disk import remove_tree, translated
from imagewright.store.layers import Layers
from imagewright.store.layout import Layout
from imagewright.store.logs import read_log
from imagewright.store.stacks import hold, release
from imagewright.store.summaries import Summaries
from imagewright.store.values import Container, KeptMount, LogLine, Process

__all__ = ["Containers"]


class Containers:
    """The containers of the store. Thread-safe.

    A container holds its layers, also when its image is removed by force, and has what its process printed.
    """

    def __init__(self, layout: Layout, database: Database, layers: Layers, summaries: Summaries) -> None:
        self._layout = layout
        self._database = database
        self._layers = layers
        self._summaries = summaries

    def add(self, container: Container, log: str) -> None:
        """Keep `container`, without `diff_ids` one that has changed nothing of its image.

        The file `log`, on the same filesystem, is taken over; "" for none.
        Raises `NotFound` if its image or a layer is not here, `Conflict` if its id or name is taken; all or nothing.
        """
        with self._log_taken(container.id, log) as take, self._summaries.changing(durable=False) as change:
            connection = change.connection
            config = connection.scalar(select(schema.images.c.config).where(schema.images.c.id == container.image))
            if config is None:
                raise NotFound(f"No such image: {container.image}")
            for other in _all(connection):
                if other.id == container.id or other.name == container.name:
                    raise Conflict(
                        f'Conflict. The container name "/{container.name}" is already in use by container "{other.id}".'
                        " You have to remove (or rename) that container to be able to reuse that name."
                    )
            row = {
                "id": container.id,
                "name": container.name,
                "image": container.image,
                "command": list(container.command),
                "created_ns": container.created_ns,
                "exit_code": container.exit_code,
                "finished_ns": container.finished_ns,
                "process": container.process and _document(container.process),
            }
            connection.execute(insert(schema.containers).values(row))
            diff_ids = container.diff_ids or parse_config(config).diff_ids
            for diff_id in diff_ids:
                self._layers.facts(diff_id)
            hold(connection, container.id, diff_ids)
            change.touched.add(container.image)
            take()

    @contextlib.contextmanager
    def _log_taken(self, identity: str, log: str) -> Iterator[Callable[[], None]]:
        """Yield what takes the file `log` over, which is gone where the transaction around that fails after it."""
        path = self._layout.log(identity)
        taken = False

        def take() -> None:
            nonlocal taken
            if log:
                with translated("cannot keep a log"):
                    os.rename(log, path)
                taken = True

        try:
            yield take
        except BaseException:
            # Nobody would ever remove it: the container it belongs to was never there.
            if taken:
                with contextlib.suppress(OSError):
                    os.unlink(path)
            raise

    def list(self) -> list[Container]:
        """Return all containers, newest first."""
        with self._database.read() as connection:
            return _all(connection)

    def get(self, name: str) -> Container:
        """Return the container with the id or the name `name`, or whose id alone begins so.

        Raises `NotFound`, and `InvalidInput` where several ids begin so.
        """
        with self._database.read() as connection:
            return _find(connection, name)

    def read_log(self, name: str, tail: int | None) -> Iterator[LogLine]:
        """Return what the process of the container that `get` would return printed; raises what it raises."""
        return read_log(self._layout.log(self.get(name).id), tail=tail)

    def remove(self, name: str) -> Container:
        """Remove the container that `get` would return, and return it; raises what it raises."""
        with self._summaries.changing(durable=True) as change:
            container = _find(change.connection, name)
            change.connection.execute(delete(schema.containers).where(schema.containers.c.id == container.id))
            release(change.connection, container.id)
            change.touched.add(container.image)
        with translated("cannot remove a log"):
            remove_tree(self._layout.log(container.id))
        return container


def _find(connection: Connection, name: str) -> Container:
    found = _all(connection)
    for container in found:
        if name == container.id or name.removeprefix("/") == container.name:
            return container
    begun = [container for container in found if name and container.id.startswith(name)]
    if len(begun) > 1:
        raise InvalidInput(f"multiple IDs found with provided prefix: {name}")
    if not begun:
        raise NotFound(f"No such container: {name}")
    return begun[0]


def _all(connection: Connection) -> list[Container]:
    stacks, layers, images = schema.stacks, schema.layers, schema.images
    held: defaultdict[str, list[tuple[Digest, int]]] = defaultdict(list)
    query = select(stacks.c.owner, stacks.c.diff_id, layers.c.size).join(
        schema.containers, schema.containers.c.id == stacks.c.owner
    )
    query = query.join(layers, layers.c.diff_id == stacks.c.diff_id)
    for row in connection.execute(query.order_by(stacks.c.owner, stacks.c.position)):
        held[row.owner].append((row.diff_id, row.size))
    query_all = select(schema.containers, images.c.size.label("image_size"))
    rows = connection.execute(query_all.outerjoin(images, images.c.id == schema.containers.c.image))
    found = (_container(row, held[row.id]) for row in rows)
    return sorted(found, key=lambda container: (-container.created_ns, container.id))


def _container(row: Row[Any], layers: Iterable[tuple[Digest, int]]) -> Container:
    layers = tuple(layers)
    size = sum(size for _, size in layers)
    return Container(
        id=row.id,
        image=row.image,
        command=tuple(row.command),
        created_ns=row.created_ns,
        exit_code=row.exit_code,
        name=row.name,
        finished_ns=row.finished_ns,
        process=row.process and _process(row.process),
        diff_ids=tuple(diff_id for diff_id, _ in layers),
        size_rw=0 if row.image_size is None else size - row.image_size,
        size_root=size,
    )


def _document(process: Process) -> Mapping[str, Any]:
    return {
        "env": process.env,
        "user": process.user,
        "workdir": process.workdir,
        "network": process.network,
        "mounts": [_mount_document(mount) for mount in process.mounts],
        "insecure": process.insecure,
        "surroundings": process.surroundings,
    }


def _mount_document(mount: KeptMount) -> Mapping[str, Any]:
    layers = None if mount.layers is None else [str(diff_id) for diff_id in mount.layers]
    return {**{field.name: getattr(mount, field.name) for field in dataclasses.fields(mount)}, "layers": layers}


def _process(document: Mapping[str, Any]) -> Process:
    return Process(
        env=tuple(document["env"]),
        user=document["user"],
        workdir=document["workdir"],
        network=document["network"],
        # Those who kept containers before knew no mounts, and later none of the rest.
        mounts=tuple(_mount(mount) for mount in document.get("mounts", ())),
        insecure=document.get("insecure", False),
        surroundings=document.get("surroundings", {}),
    )


def _mount(document: Mapping[str, Any]) -> KeptMount:
    layers = document["layers"]
    return KeptMount(**{**document, "layers": None if layers is None else tuple(map(Digest.parse, layers))})
