"""Intermediate containers: what RUN steps leave behind when they are not told to remove it."""

from sqlalchemy import Connection, Row, delete, insert, select

from imagewright.errors import Conflict, InvalidInput, NotFound
from imagewright.oci import parse_config
from imagewright.store import schema
from imagewright.store.database import Database
from imagewright.store.stacks import hold, release
from imagewright.store.summaries import Summaries
from imagewright.store.values import Container

__all__ = ["Containers"]


class Containers:
    """The containers of the store. Thread-safe.

    A container holds the layers of its image, also when the image is removed by force.
    """

    def __init__(self, database: Database, summaries: Summaries) -> None:
        self._database = database
        self._summaries = summaries

    def add(self, container: Container) -> None:
        """Keep `container`; raises `NotFound` if its image is not here, `Conflict` if its id or name is taken."""
        with self._summaries.changing(durable=False) as (connection, touched):
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
            }
            connection.execute(insert(schema.containers).values(row))
            hold(connection, container.id, parse_config(config).diff_ids)
            touched.add(container.image)

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

    def remove(self, name: str) -> None:
        """Remove the container that `get` would return; raises what it raises."""
        with self._summaries.changing(durable=True) as (connection, touched):
            container = _find(connection, name)
            connection.execute(delete(schema.containers).where(schema.containers.c.id == container.id))
            release(connection, container.id)
            touched.add(container.image)


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
    rows = connection.execute(select(schema.containers))
    return sorted((_container(row) for row in rows), key=lambda container: (-container.created_ns, container.id))


def _container(row: Row[tuple[object, ...]]) -> Container:
    return Container(
        id=row.id,
        image=row.image,
        command=tuple(row.command),
        created_ns=row.created_ns,
        exit_code=row.exit_code,
        name=row.name,
    )
