"""Data roots of older versions are opened."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from imagewright.errors import SystemFailure
from imagewright.store import ImageQuery
from unit.store.seeding import SECOND, Seed

# The tables as version 1 made them.
VERSION_1 = """
CREATE TABLE properties (name VARCHAR NOT NULL, value BIGINT NOT NULL, PRIMARY KEY (name));
CREATE TABLE layers (
    diff_id VARCHAR(64) NOT NULL, form VARCHAR NOT NULL, size BIGINT NOT NULL, tar_size BIGINT NOT NULL,
    complete BOOLEAN NOT NULL, below VARCHAR(64), PRIMARY KEY (diff_id)
);
CREATE TABLE images (
    id VARCHAR(64) NOT NULL, config BLOB NOT NULL, parent VARCHAR(64), created_ns VARCHAR NOT NULL,
    size BIGINT NOT NULL, tagged_ns VARCHAR NOT NULL, PRIMARY KEY (id)
);
CREATE INDEX ix_images_parent ON images (parent);
CREATE TABLE stacks (
    owner VARCHAR NOT NULL, position INTEGER NOT NULL, diff_id VARCHAR(64) NOT NULL, chain_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (owner, position)
);
CREATE INDEX ix_stacks_chain_id ON stacks (chain_id);
CREATE INDEX ix_stacks_diff_id ON stacks (diff_id);
CREATE TABLE image_references (name VARCHAR NOT NULL, image VARCHAR(64) NOT NULL, PRIMARY KEY (name));
CREATE INDEX ix_image_references_image ON image_references (image);
CREATE TABLE summaries (
    id VARCHAR(64) NOT NULL, parent VARCHAR(64), created_ns VARCHAR NOT NULL, size BIGINT NOT NULL, names TEXT NOT NULL,
    labels TEXT, containers INTEGER NOT NULL, PRIMARY KEY (id)
);
CREATE TABLE records (
    "key" VARCHAR(64) NOT NULL, diff_id VARCHAR(64), created_ns VARCHAR NOT NULL, leaves TEXT NOT NULL,
    parent VARCHAR(64), content VARCHAR(64), PRIMARY KEY ("key")
);
CREATE INDEX ix_records_diff_id ON records (diff_id);
CREATE INDEX records_adoptable ON records (content, parent);
CREATE TABLE containers (
    id VARCHAR(64) NOT NULL, name VARCHAR NOT NULL, image VARCHAR(64) NOT NULL, command TEXT NOT NULL,
    created_ns VARCHAR NOT NULL, exit_code INTEGER NOT NULL, PRIMARY KEY (id), UNIQUE (name)
);
CREATE INDEX ix_containers_image ON containers (image);
"""


def downgrade(root: str) -> None:
    """Put a database of version 1 in the place of the one at `root`, with what it has of the same."""
    with closing(sqlite3.connect(f"{root}/db.sqlite")) as database:
        database.execute("VACUUM INTO ?", (f"{root}/db.new",))
    with closing(sqlite3.connect(f"{root}/db.old")) as old:
        old.executescript(VERSION_1)
        old.execute("ATTACH ? AS new", (f"{root}/db.new",))
        for (table,) in list(old.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")):
            columns = ", ".join(f'"{row[1]}"' for row in old.execute(f"PRAGMA main.table_info({table})"))
            old.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")  # noqa: S608 - our own names
        old.execute("UPDATE main.properties SET value = 1 WHERE name = 'schema_version'")
        old.commit()
    for name in ("db.sqlite-wal", "db.sqlite-shm", "db.new"):
        Path(f"{root}/{name}").unlink(missing_ok=True)
    Path(f"{root}/db.old").replace(f"{root}/db.sqlite")


def schema_of(path: str) -> dict[str, list[tuple[object, ...]]]:
    """Return the columns and the indexes of every table, by its name."""
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: sorted(row[1:] for row in database.execute(f"PRAGMA table_info({table})"))
            + sorted(row[1:3] for row in database.execute(f"PRAGMA index_list({table})"))
            for table in tables
        }


def test_a_root_of_version_1_is_brought_up_to_date(seed: Seed) -> None:
    base, top = seed.layer("base", b"12345"), seed.layer("top", b"123")
    parent = seed.image(layers=[base])
    image = seed.image("x:1", f"x@{'sha256:' + 'a' * 64}", layers=[base, top], parent=parent, labels={"a": "1"})
    seed.image("y:1", layers=[base])
    container = seed.container(image)
    shown, used = seed.store.list_images(ImageQuery(all=True)), seed.store.disk_usage()
    seed.store.close()
    new = schema_of(f"{seed.root}/db.sqlite")
    downgrade(seed.root)
    assert "chains" not in schema_of(f"{seed.root}/db.sqlite")
    store = seed.reopen()
    assert store.lost == ()
    assert store.list_images(ImageQuery(all=True)) == shown
    assert store.disk_usage() == used
    assert store.get_image(image).last_used_ns == seed.now_ns
    assert store.list_containers() == [container]
    seed.now_ns += SECOND
    later = seed.image("z:1", layers=[base, top])
    assert {summary.id: summary.shared_size for summary in store.list_images()}[image] == 8
    assert seed.reopen().get_image(later).tags
    seed.store.close()
    old = schema_of(f"{seed.root}/db.sqlite")
    assert {table: {row[0] for row in rows} for table, rows in old.items()} == {
        table: {row[0] for row in rows} for table, rows in new.items()
    }


def test_a_root_of_a_later_version_is_left_alone(seed: Seed) -> None:
    seed.store.close()
    with closing(sqlite3.connect(f"{seed.root}/db.sqlite")) as database:
        database.execute("UPDATE properties SET value = 99 WHERE name = 'schema_version'")
        database.commit()
    with pytest.raises(SystemFailure, match="schema 99, not 4"):
        seed.reopen()
    with closing(sqlite3.connect(f"{seed.root}/db.sqlite")) as database:
        database.execute("UPDATE properties SET value = 4 WHERE name = 'schema_version'")
        database.commit()
    seed.reopen()
