import itertools
import os
from pathlib import Path

import pytest

from imagewright.errors import NotFound
from imagewright.store import Container, LogLine, LogWriter, Process, Store
from imagewright.store.logs import read_log
from unit.store.seeding import Seed


def write(path: Path, *pieces: tuple[str, bytes]) -> str:
    ticks = itertools.count(1)
    with LogWriter(str(path), clock=lambda: next(ticks)) as log:
        for channel, data in pieces:
            log.write("stdout" if channel == "o" else "stderr", data)
    return str(path)


def read(path: str, tail: int | None = None) -> list[tuple[str, int, bytes]]:
    return [(line.channel, line.time_ns, line.data) for line in read_log(path, tail=tail)]


def test_lines_are_put_together_for_each_channel(tmp_path: Path) -> None:
    path = write(tmp_path / "log", ("o", b"x"), ("e", b"err\nmore"), ("o", b"\r\ntwo\n\nen"), ("o", b"d"))
    assert read(path) == [
        ("stderr", 2, b"err\n"),
        ("stdout", 3, b"x\r\n"),
        ("stdout", 3, b"two\n"),
        ("stdout", 3, b"\n"),
        ("stdout", 4, b"end"),
        ("stderr", 2, b"more"),
    ]


@pytest.mark.parametrize(("tail", "shown"), [(0, []), (1, [b"end"]), (2, [b"two\n", b"end"]), (9, None), (None, None)])
def test_the_last_lines(tmp_path: Path, tail: int | None, shown: list[bytes] | None) -> None:
    path = write(tmp_path / "log", ("o", b"one\ntwo\nend"))
    assert [data for _, _, data in read(path, tail)] == (shown if shown is not None else [b"one\n", b"two\n", b"end"])


def test_a_long_line_comes_in_pieces(tmp_path: Path) -> None:
    path = write(tmp_path / "log", ("o", b"a" * 10_000), ("o", b"a" * 10_000), ("o", b"a" * 20_000 + b"\nb\n"))
    lines = [data for _, _, data in read(path)]
    assert b"".join(lines) == b"a" * 40_000 + b"\nb\n"
    assert {len(line) for line in lines[:2]} == {16384}
    assert max(map(len, lines)) == 16384
    assert lines[-1] == b"b\n"


def test_a_log_that_was_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "log", ("o", b"one\n"), ("o", b"two\n"))
    os.truncate(path, os.path.getsize(path) - 1)
    assert [data for _, _, data in read(path)] == [b"one\n"]
    assert [data for _, _, data in read(path, 1)] == [b"one\n"]
    os.truncate(path, 5)
    assert read(path) == []
    Path(path).write_bytes(b"\xff" * 13)
    assert read(path) == []


def test_closing_again_does_nothing(tmp_path: Path) -> None:
    log = LogWriter(str(tmp_path / "log"), clock=lambda: 1)
    log.write("stdout", b"x")
    log.close()
    log.close()
    assert read(log.path) == [("stdout", 1, b"x")]


@pytest.mark.parametrize("count", [600, 800, 1700, 5000])
def test_a_log_that_is_too_long_keeps_its_beginning_and_its_end(tmp_path: Path, count: int) -> None:
    limit = 64 << 10
    lines = [b"%0100d\n" % number for number in range(count)]
    with LogWriter(str(tmp_path / "log"), clock=lambda: 1, limit=limit) as log:
        for line in lines:
            log.write("stdout", line)
            assert os.path.getsize(log.path) < 2.1 * limit
    found = [data for channel, _, data in read(log.path) if channel == "stdout"]
    said = b"".join(data for channel, _, data in read(log.path) if channel == "stderr")
    if os.path.getsize(log.path) > 1.25 * limit or count == 600:
        assert found == lines
        return
    assert os.path.getsize(log.path) < 1.2 * limit
    cut = next(number for number, line in enumerate(found) if line != lines[number])
    assert found == lines[:cut] + lines[cut - len(found) :]
    assert min(cut, len(found) - cut) * 114 > limit * 0.4
    assert said == b"\n[%d bytes of output are left out here]\n" % (101 * (count - len(found)))


def test_a_log_lives_with_its_container(seed: Seed, store: Store) -> None:
    container = Container(
        id="ab" * 32,
        image=seed.image("x:1"),
        command=("sh", "-c", "echo \udcff"),
        created_ns=1,
        finished_ns=2,
        exit_code=3,
        name="n",
        process=Process(env=("A=\udcff",), user="1:2", workdir="/w", network="none"),
    )
    with store.scratch() as scratch:
        store.add_container(container, log=write(Path(scratch, "log"), ("o", b"one\ntwo\n")))
    assert store.get_container("n") == container
    stray = f"{seed.root}/logs/{'0' * 64}"
    Path(stray).touch()
    store = seed.reopen()
    assert not os.path.exists(stray)
    assert store.get_container("n") == container
    lines = store.read_log("n")
    assert list(store.read_log("ab", tail=1)) == [LogLine("stdout", 1, b"two\n")]
    store.remove_container("n")
    assert [line.data for line in lines] == [b"one\n", b"two\n"]
    assert os.listdir(f"{seed.root}/logs") == []
    with pytest.raises(NotFound, match="No such container: n"):
        store.read_log("n")


def test_a_container_without_a_log(seed: Seed, store: Store) -> None:
    assert list(store.read_log(seed.container(seed.image("x:1")).id)) == []
