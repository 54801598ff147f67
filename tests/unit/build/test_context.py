import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from backports import zstd

from imagewright.archive import Limits, read_content
from imagewright.build.context import Context, ContextLimits, read_context
from imagewright.errors import InvalidInput
from imagewright.filesystem import File, find
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
        ({"Dockerfile": Member(type=tarfile.FIFOTYPE)}, "", "Cannot locate specified Dockerfile: Dockerfile"),
        (
            {"Dockerfile": Member.symlink("p"), "p": Member(type=tarfile.FIFOTYPE)},
            "",
            "Cannot locate specified Dockerfile: Dockerfile",
        ),
        (
            {"Dockerfile": Member(type=tarfile.CHRTYPE, device=(1, 5))},
            "",
            "Cannot locate specified Dockerfile: Dockerfile",
        ),
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


_FILES = {"Dockerfile": "FROM a", "d/f": "x" * 700}
_PLAIN = archive(_FILES)


@pytest.mark.parametrize(
    "data",
    [
        *(compress(_PLAIN) for compress in (bytes, gzip.compress, bz2.compress, lzma.compress, zstd.compress)),
        *(archive(_FILES, format_=form) for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)),
        archive([(f"./{name}", data) for name, data in _FILES.items()]),
        archive([(f"/{name}", data) for name, data in _FILES.items()]),
        archive([(f"../{name}", data) for name, data in _FILES.items()]),
        _PLAIN[: 512 * 5],  # without the blocks that end it
        _PLAIN[: 512 * 3 + 700 + 1],  # without most of the last padding
        gzip.compress(_PLAIN[: 512 * 5]),
    ],
)
def test_forms_of_archives(tmp_path: Path, data: bytes) -> None:
    context = read_context(io.BytesIO(data), str(tmp_path), "")
    assert context.dockerfile == b"FROM a"
    assert context.tree is not None
    file = find(context.tree, "d/f")
    assert isinstance(file, File)
    assert read_content(file.content, 1000) == b"x" * 700


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Cannot locate specified Dockerfile: Dockerfile"),
        (bytes(1024), "Cannot locate specified Dockerfile: Dockerfile"),
        (b"x" * 100, "unexpected EOF"),
        (b"x" * 600, "archive/tar: invalid tar header"),
        (gzip.compress(_PLAIN)[:-20], "unexpected EOF"),
        (gzip.compress(gzip.compress(_PLAIN)), "unexpected EOF"),
        (zlib.compress(_PLAIN), "unexpected EOF"),
    ],
)
def test_what_is_no_archive(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_context(io.BytesIO(data), str(tmp_path), "")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (ContextLimits(archive=Limits(unpacked=1000)), "larger"),
        (ContextLimits(archive=Limits(nodes=1)), "more than"),
        (ContextLimits(dockerfile=5), r"the Dockerfile \(Dockerfile\) is larger than 5 bytes"),
    ],
)
def test_limits_are_the_callers(tmp_path: Path, limits: ContextLimits, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_context(io.BytesIO(_PLAIN), str(tmp_path), "", limits=limits)
