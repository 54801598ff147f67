import threading
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update

from imagewright.errors import SystemFailure
from imagewright.oci import Digest
from imagewright.store import schema
from imagewright.store.database import Database

RECORD = {"key": Digest.of(b"key"), "diff_id": None, "created_ns": -(10**20), "leaves": {"a": "ä"}}


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    database = Database(f"{tmp_path}/db")
    with pytest.raises(SystemFailure, match="UNIQUE"), database.write(durable=True) as connection:
        connection.execute(insert(schema.records), [RECORD, RECORD])
    with database.read() as connection:
        assert connection.execute(select(schema.records)).all() == []
    with database.write(durable=False) as connection:
        connection.execute(insert(schema.records).values(RECORD))
    database.close()
    database = Database(f"{tmp_path}/db")
    with database.read() as connection:
        row = connection.execute(select(schema.records)).one()
    assert (row.key, row.diff_id, row.created_ns, row.leaves) == (Digest.of(b"key"), None, -(10**20), {"a": "ä"})
    database.close()


def test_durability_is_chosen_for_each_transaction(tmp_path: Path) -> None:
    database = Database(f"{tmp_path}/db")
    for durable, level in ((True, 2), (False, 1), (True, 2)):
        with database.write(durable=durable) as connection:
            assert connection.scalar(text("PRAGMA synchronous")) == level
    with database.read() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    database.close()


def test_readers_see_one_state_while_another_is_written(tmp_path: Path) -> None:
    database = Database(f"{tmp_path}/db")
    query = select(schema.properties.c.value).where(schema.properties.c.name == "generation")
    change = update(schema.properties).where(schema.properties.c.name == "generation").values(value=7)
    with database.read() as reader:
        assert reader.scalar(query) == 0

        def write() -> None:
            with database.write(durable=False) as writer:
                writer.execute(change)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        assert reader.scalar(query) == 0
    with database.read() as reader:
        assert reader.scalar(query) == 7
    database.close()


def test_another_schema_is_left_alone(tmp_path: Path) -> None:
    database = Database(f"{tmp_path}/db")
    with database.write(durable=False) as connection:
        connection.execute(
            update(schema.properties).where(schema.properties.c.name == "schema_version").values(value=99)
        )
    database.close()
    with pytest.raises(SystemFailure, match="schema 99, not 4"):
        Database(f"{tmp_path}/db")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"no database" * 100)
    with pytest.raises(SystemFailure, match="the store's database failed: file is not a database"):
        Database(f"{tmp_path}/db")
