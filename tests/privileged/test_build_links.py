"""`COPY --link` and `ADD --link`: layers that know nothing of what they lie on."""

import io
from collections.abc import Iterator

import pytest

from imagewright.engine import BuildRequest, Engine
from imagewright.errors import DockerfileError
from support.bases import busybox_base
from support.builder import Content, Member, archive
from support.engines import Entry, Log, build, flatten, leftovers, reference, saved

pytestmark = pytest.mark.privileged

_BASE: dict[str, Content] = {
    "real/there": "there",
    "lib": Member.symlink("real"),
    "tmp": Member.directory(0o1777, 5, 5),
    "tmp/old": "old",
    "etc/passwd": "user:x:1000:1000::/:/bin/sh\n",
    "was": "a file",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(str(tmp_path_factory.mktemp("engine"))) as engine:
        build(engine, "FROM scratch\nADD base.tar /\n", {"base.tar": archive(_BASE)}, request=_named("base"))
        yield engine


def _named(name: str) -> BuildRequest:
    return BuildRequest(tags=(reference(name),))


def _look(engine: Engine, instructions: str, log: Log | None = None) -> dict[str, Entry]:
    files: dict[str, Content] = {"f": "new", "d/f": "new", "a.tar": archive({"lib/in": "in"})}
    build(engine, instructions, files, request=_named("linked"), log=log)
    assert leftovers(engine.info().data_root) == []
    return flatten(saved(engine, "linked"))[0]


def test_links_at_the_destination_are_replaced_and_not_followed(engine: Engine) -> None:
    followed = _look(engine, "FROM base\nCOPY f /lib/f\n")
    assert (followed["lib"].type, followed["real/f"].data) == ("2", b"new")
    linked = _look(engine, "FROM base\nCOPY --link f /lib/f\nADD --link a.tar /x/\n")
    assert linked["lib"].type == "5"
    assert sorted(path for path in linked if path.startswith(("lib", "real", "x"))) == [
        *("lib", "lib/f", "real", "real/there", "x", "x/lib", "x/lib/in"),
    ]


def test_directories_on_the_way_are_new(engine: Engine) -> None:
    files = _look(engine, "FROM base\nCOPY --link --chown=7:8 f /tmp/a/f\nCOPY --link d /was/\n")
    assert [(files[path].mode, files[path].uid, files[path].gid) for path in ("tmp", "tmp/a", "tmp/a/f")] == [
        *((0o755, 7, 8), (0o755, 7, 8), (0o644, 7, 8)),
    ]
    assert files["tmp/old"].data == b"old"
    assert files["was/f"].data == b"new"


def test_a_relative_destination_begins_at_the_working_directory(engine: Engine) -> None:
    assert _look(engine, "FROM base\nWORKDIR /lib/w\nCOPY --link f g\n")["lib/w/g"].data == b"new"


def test_a_linked_layer_is_found_on_any_base(engine: Engine) -> None:
    _look(engine, "FROM base\nCOPY --link f /once/f\n")
    layer = engine.inspect("linked").config.diff_ids[-1]
    for start in ("FROM scratch\nCOPY d /other/\n", "FROM base\nCOPY f /changed\n", "FROM scratch\n"):
        log = Log()
        files = _look(engine, f"{start}COPY --link f /once/f\n", log)
        assert engine.inspect("linked").config.diff_ids[-1] == layer
        assert files["once/f"].data == b"new"
        assert log.hits
    log = Log()
    _look(engine, "FROM scratch\nCOPY f /once/f\n", log)
    assert log.hits == 0


def test_what_runs_on_a_linked_layer_still_depends_on_all_below(engine: Engine) -> None:
    _look(engine, "FROM base\nCOPY --link f /lib/x\nCOPY --link f /f\nCOPY f /lib/y\n")
    files = _look(engine, "FROM base\nCOPY --link f /f\nCOPY f /lib/y\n")
    assert files["real/y"].data == b"new"


def test_a_process_sees_what_the_image_has(engine: Engine) -> None:
    engine.import_(io.BytesIO(busybox_base()), reference=reference("busybox"))
    log = Log()
    _look(
        engine,
        "FROM busybox\nRUN mkdir /real && ln -s real /way && touch /real/old\nCOPY --link f /way/f\n"
        "RUN test ! -L /way; ls /way /real\n",
        log,
    )
    assert log.output == "/real:\nold\n\n/way:\nf\n"


def test_names_of_users_are_not_known(engine: Engine) -> None:
    assert _look(engine, "FROM base\nCOPY --chown=user f /f\n")["f"].uid == 1000
    with pytest.raises(DockerfileError, match="no such user: user; with --link only numbers are known"):
        _look(engine, "FROM base\nCOPY --link --chown=user f /f\n")


def test_an_image_for_the_cache_does_not_stand_in_for_a_linked_layer(engine: Engine) -> None:
    _look(engine, "FROM base\nCOPY f /lib/cached\n")
    build(engine, "FROM linked\n", request=_named("source"))
    request = BuildRequest(tags=(reference("linked"),), cache_from=("source",))
    build(engine, "FROM base\nCOPY --link f /lib/cached\n", {"f": "new"}, request=request)
    assert flatten(saved(engine, "linked"))[0]["lib"].type == "5"
