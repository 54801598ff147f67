"""A database as an older version of imagewright wrote it, brought up to date.

Each step takes the tables from one schema version to the next, by statements of its own: what `schema` says changes
with later versions, and what was written before does not.
"""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from imagewright.store.sharing import recount

__all__ = ["migrate"]


def migrate(connection: Connection, version: int, now_ns: int) -> int:
    """Bring the tables from the schema `version` as far up as is known here, and return the version that they have.

    `now_ns` is the time, since 1970. Atomic, if the caller's transaction is.
    """
    before = version
    while version in _STEPS:
        _STEPS[version](connection, now_ns)
        version += 1
    if version != before:
        recount(connection)
    return version


def _keep_uses_and_shares(connection: Connection, now_ns: int) -> None:
    """1 to 2: when images were last used, and how much of them is shared.

    Nobody knows when an image was used before: the clock starts now, so that none is taken for unused too soon.
    """
    for statement in (
        "ALTER TABLE summaries ADD COLUMN counted BOOLEAN DEFAULT 0 NOT NULL",
        "ALTER TABLE summaries ADD COLUMN shared_size BIGINT DEFAULT 0 NOT NULL",
        "CREATE TABLE uses (id VARCHAR(64) NOT NULL, last_used_ns VARCHAR NOT NULL, PRIMARY KEY (id))",
    ):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(
        "CREATE TABLE chains "
        "(chain_id VARCHAR(64) NOT NULL, size BIGINT NOT NULL, images INTEGER NOT NULL, PRIMARY KEY (chain_id))"
    )
    connection.exec_driver_sql("INSERT INTO uses (id, last_used_ns) SELECT id, ? FROM images", (str(now_ns),))


def _keep_blobs(connection: Connection, _now_ns: int) -> None:
    """2 to 3: the compressed forms of layers, where they have been seen, and the manifests of images."""
    for statement in (
        (
            "CREATE TABLE blobs (digest VARCHAR(64) NOT NULL, diff_id VARCHAR(64) NOT NULL, "
            "compression VARCHAR NOT NULL, size BIGINT NOT NULL, PRIMARY KEY (digest))"
        ),
        "CREATE INDEX ix_blobs_diff_id ON blobs (diff_id)",
        (
            "CREATE TABLE places (digest VARCHAR(64) NOT NULL, repository VARCHAR NOT NULL, "
            "diff_id VARCHAR(64) NOT NULL, PRIMARY KEY (digest, repository))"
        ),
        "CREATE INDEX ix_places_diff_id ON places (diff_id)",
        (
            "CREATE TABLE manifests (digest VARCHAR(64) NOT NULL, image VARCHAR(64) NOT NULL, "
            "media_type VARCHAR NOT NULL, data BLOB NOT NULL, PRIMARY KEY (digest))"
        ),
        "CREATE INDEX ix_manifests_image ON manifests (image)",
    ):
        connection.exec_driver_sql(statement)


def _keep_processes(connection: Connection, _now_ns: int) -> None:
    """3 to 4: how the processes of containers were started, and when they ended."""
    for statement in (
        "ALTER TABLE containers ADD COLUMN finished_ns VARCHAR DEFAULT '0' NOT NULL",
        "ALTER TABLE containers ADD COLUMN process TEXT",
    ):
        connection.exec_driver_sql(statement)


_STEPS: Mapping[int, Callable[[Connection, int], None]] = {
    1: _keep_uses_and_shares,
    2: _keep_blobs,
    3: _keep_processes,
}
