"""The metadata database: transactions, and how durable they are."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, insert, inspect, select, update
from sqlalchemy.exc import SQLAlchemyError

from imagewright.errors import SystemFailure
from imagewright.store import schema
from imagewright.store.disk import reserve
from imagewright.store.migration import migrate

__all__ = ["Database"]

# As long as SQLite lets its log become before it begins anew: 1000 pages, each with a header.
_RESERVE = 1001 * (4096 + 24)


class Database:
    """One SQLite file in WAL mode. Many may read at once, one writes; readers see whole transactions only.

    Raises `SystemFailure` where the database cannot do what it is asked: a full disk, a damaged file.
    """

    def __init__(self, path: str, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._engine = create_engine(URL.create("sqlite", database=path))
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)
        self._writing = threading.RLock()
        try:
            with _translated():
                self._writer = self._engine.connect()
                with self.write(durable=True) as connection:
                    _prepare(connection, clock())
            # Without room for the log of what is removed, nothing could be removed from a disk that is full.
            reserve(f"{path}-wal", _RESERVE)
        except SystemFailure:
            self._engine.dispose()
            raise

    def close(self) -> None:
        """Close all connections; the write-ahead log is folded into the file."""
        with self._writing:
            self._writer.close()
            self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the database, whatever is written meanwhile."""
        with _translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other threads from writing, for what must happen between transactions."""
        with self._writing:
            yield

    def try_exclusive(self) -> bool:
        """Begin what `exclusive` does if nobody else has; return whether that is so. Ended by `end_exclusive`."""
        return self._writing.acquire(blocking=False)

    def end_exclusive(self) -> None:
        """Let other threads write again."""
        self._writing.release()

    @contextmanager
    def write(self, *, durable: bool) -> Iterator[Connection]:
        """Give a connection whose changes are made together, when the context ends, or not at all if it raises.

        What is not `durable` survives the end of this process at any moment, but a power cut may take it back; a
        later durable transaction makes everything before it durable too. One writer at a time: others wait.
        """
        with self._writing, _translated():
            # A pragma is no statement of the transaction, and SQLite ignores this one inside of one.
            raw: Any = self._writer.connection.dbapi_connection
            raw.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            with self._writer.begin():
                yield self._writer


def _configure(connection: Any, _record: object) -> None:
    # The driver's own transaction control would begin transactions late; see the pysqlite page of SQLAlchemy.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA busy_timeout=10000")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _prepare(connection: Connection, now_ns: int) -> None:
    """Make the tables of a new database, or bring those of an older version up to date."""
    table = schema.properties
    if not inspect(connection).has_table(table.name):
        schema.metadata.create_all(connection)
        properties = {"schema_version": schema.SCHEMA_VERSION, "generation": 0}
        connection.execute(insert(table), [{"name": name, "value": value} for name, value in properties.items()])
    found = int(connection.execute(select(table.c.value).where(table.c.name == "schema_version")).scalar_one())
    version = migrate(connection, found, now_ns)
    if version != schema.SCHEMA_VERSION:
        raise SystemFailure(
            f"the data root was written by another version of imagewright (schema {found}, not {schema.SCHEMA_VERSION})"
        )
    connection.execute(update(table).where(table.c.name == "schema_version").values(value=version))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or type(error).__name__
        raise SystemFailure(f"the store's database failed: {reason}") from error
