import io
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagewright.build.context import Context, read_context
from imagewright.errors import InvalidInput
from imagewright.filesystem import find
from support.builder import Content, Member, archive


def _read(path: Path, files: Mapping[str, Content], dockerfile: str = "") -> Context:
    return read_context(io.BytesIO(archive(files)), str(path), dockerfile)


@pytest.mark.parametrize(
    ("dockerfile", "data"),
    [
        ("", b"top"),
        ("Dockerfile", b"top"),
        ("/sub/D", b"sub"),
        ("./sub/D", b"sub"),
        ("sub/../Dockerfile", b"top"),
        ("link", b"sub"),
    ],
)
def test_where_the_dockerfile_is(tmp_path: Path, dockerfile: str, data: bytes) -> None:
    files: dict[str, Content] = {"Dockerfile": "top", "sub/D": "sub", "link": Member.symlink("sub/D")}
    assert _read(tmp_path, files, dockerfile).dockerfile == data


def test_lower_case_name_is_the_second_choice(tmp_path: Path) -> None:
    context = _read(tmp_path, {"dockerfile": "lower"})
    assert (context.name, context.dockerfile) == ("dockerfile", b"lower")


def test_last_of_two_members_wins(tmp_path: Path) -> None:
    data = archive([("Dockerfile", "first"), ("Dockerfile", "last")])
    assert read_context(io.BytesIO(data), str(tmp_path), "").dockerfile == b"last"


@pytest.mark.parametrize(
    ("files", "dockerfile", "message"),
    [
        ({}, "", "Cannot locate specified Dockerfile: Dockerfile"),
        ({"Dockerfile": "x"}, "nope", "Cannot locate specified Dockerfile: nope"),
        ({"Dockerfile": "x"}, "../Dockerfile", "forbidden path outside the build context: ../Dockerfile ()"),
        ({"Dockerfile": Member.symlink("/etc/passwd")}, "", "Cannot locate specified Dockerfile: Dockerfile"),
        ({"Dockerfile": Member.directory()}, "", "Cannot locate specified Dockerfile: Dockerfile"),
        ({"Dockerfile": b"#" * (4 << 20) + b"x"}, "", "the Dockerfile (Dockerfile) is larger than 4 MiB"),
    ],
)
def test_dockerfiles_that_are_refused(
    tmp_path: Path, files: Mapping[str, Content], dockerfile: str, message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        _read(tmp_path, files, dockerfile)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("patterns", "hidden"),
    [
        ("Dockerfile\n.dockerignore\n", {"Dockerfile", ".dockerignore"}),
        ("*\n!Dockerfile\n", {".dockerignore"}),
        ("other\n", set()),
        ("[\n", set()),
    ],
)
def test_only_the_two_files_for_the_engine_are_filtered(tmp_path: Path, patterns: str, hidden: set[str]) -> None:
    files = {"Dockerfile": "FROM scratch", ".dockerignore": patterns, "other": "x"}
    context = _read(tmp_path, files)
    assert context.tree is not None
    assert {name for name in files if find(context.tree, name) is None} == hidden
    assert context.dockerfile == b"FROM scratch"
