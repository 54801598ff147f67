import hashlib
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from imagewright.build.checking import check_build
from imagewright.build.context import Context
from imagewright.build.request import BuildRequest
from imagewright.dockerfile import parse
from imagewright.errors import DockerfileError
from imagewright.events import BuildWarning, Event
from imagewright.filesystem import EMPTY, Content, Directory, Extent, File, Tree
from imagewright.oci import Digest, Platform, RunConfig

_PLATFORM = Platform("linux", "amd64")


def run(
    text: str, *, tree: Tree = EMPTY, find_base: Callable[[str], RunConfig | None] = lambda _: None, **wanted: Any
) -> list[str]:
    """Return the warnings; `wanted` are the fields of the request."""
    events: list[Event] = []
    data = text.encode()
    found = check_build(
        parse(data),
        Context(tree, data, "My"),
        BuildRequest(**wanted),
        platform=_PLATFORM,
        build_platform=_PLATFORM,
        find_base=find_base,
        report=events.append,
    )
    assert len(found) == len(events)
    return [event.message for event in events if isinstance(event, BuildWarning)]


def test_nothing_is_told_to_those_who_do_not_ask() -> None:
    assert run("FROM a\nCMD b\n") == []


_WARNING = "[WARNING]: My:%d: JSONArgsRecommended: CMD should be a JSON array: a shell keeps signals from it"


def test_warnings() -> None:
    assert run("FROM a\nCMD b\n", check=True) == [_WARNING % 2]
    assert run("# check=skip=StageNameCasing\nFROM a as B\nCMD b\n")[1:] == [_WARNING % 3]
    assert run("FROM a\nCMD b\n", build_args={"BUILDKIT_DOCKERFILE_CHECK": "skip=all"}, check=True) == []


def test_errors() -> None:
    with pytest.raises(DockerfileError) as caught:
        run("# check=error=true\nFROM a as b\n  CMD b\n")
    error = caught.value
    assert str(error) == "lint violation found for rules: FromAsCasing, JSONArgsRecommended"
    assert (error.line, error.source, error.path) == (2, "FROM a as b", "My")
    assert run('# check=error=true\nFROM a\nCMD ["b"]\n') == []
    with pytest.raises(DockerfileError, match="lint violation"):
        run("FROM a\nCMD b\n", build_args={"BUILDKIT_DOCKERFILE_CHECK": "error=true"})


def test_wrong_directive_is_an_error_even_if_nobody_asks() -> None:
    with pytest.raises(DockerfileError, match="failed to parse check options"):
        run("# check=x=y\nFROM a\n")


def test_bases_count() -> None:
    assert run("FROM a\nUSER $X\n", check=True, find_base=lambda name: RunConfig() if name == "a" else None) == [
        "[WARNING]: My:2: UndefinedVar: nothing sets the variable '$X'"
    ]


@pytest.mark.parametrize(("patterns", "count"), [(b"b\n", 1), (b"c\n", 0), (b"b[\n", 0), (None, 0)])
def test_ignored_files_count(tmp_path: pathlib.Path, patterns: bytes | None, count: int) -> None:
    tree = EMPTY
    if patterns is not None:
        (tmp_path / "data").write_bytes(patterns)
        content = Content(Digest(hashlib.sha256(patterns).hexdigest()), len(patterns), Extent(str(tmp_path / "data")))
        tree = Directory(mode=0o755, children={".dockerignore": File(mode=0o644, content=content)})
    assert len(run("# check=experimental=all\nFROM a\nCOPY b /\n", tree=tree)) == count
