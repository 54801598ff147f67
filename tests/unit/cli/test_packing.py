import io
import os
import pathlib
import socket
import tarfile

import pytest

from imagewright.cli.packing import Context, ContextReader, open_context
from imagewright.errors import InvalidInput, NotFound, SystemFailure
from imagewright.filesystem import IgnorePatterns


def read(context: Context) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(context.chunks()))) as tar:
        members = {}
        for info in tar:
            file = tar.extractfile(info) if info.isreg() else None
            members[info.name] = (info, file.read() if file else b"")
        return members


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / "context"
    (root / "d" / "e").mkdir(parents=True)
    (root / "Dockerfile").write_text("FROM scratch\n")
    (root / "a").write_text("hello")
    (root / "d" / "b").write_bytes(b"x" * 1000)
    (root / "d" / "e" / "c").write_text("")
    os.utime(root / "a", ns=(5_900_000_000, 5_900_000_000))
    (root / "a").chmod(0o4755)
    return root


def test_members(tree: pathlib.Path) -> None:
    (tree / "link").symlink_to("d/b")
    os.link(tree / "a", tree / "hard")
    os.mkfifo(tree / "fifo", 0o600)
    members = read(open_context(str(tree), None))
    assert list(members) == ["Dockerfile", "a", "d", "d/b", "d/e", "d/e/c", "fifo", "hard", "link"]
    info, data = members["a"]
    assert (data, info.mode, info.mtime, info.uid, info.gid, info.uname) == (b"hello", 0o4755, 5, 0, 0, "")
    assert members["d/b"][1] == b"x" * 1000
    assert members["d"][0].isdir()
    assert (members["link"][0].issym(), members["link"][0].linkname) == (True, "d/b")
    assert (members["hard"][0].islnk(), members["hard"][0].linkname) == (True, "a")
    assert members["fifo"][0].isfifo()


def test_same_tree_gives_the_same_bytes(tree: pathlib.Path) -> None:
    context = open_context(str(tree), None)
    assert b"".join(context.chunks()) == b"".join(context.chunks())


def test_sockets_are_left_out(tree: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        directory = os.open(tree, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{directory}/s")
        os.close(directory)
        assert "s" not in read(open_context(str(tree), None))


def test_names_of_any_bytes(tree: pathlib.Path) -> None:
    names = [b"\xff", "ü".encode(), b"n" * 200, b"new\nline"]
    for name in names:
        (tree / os.fsdecode(name)).write_text("")
    assert {os.fsdecode(name) for name in names} <= set(read(open_context(str(tree), None)))


def test_ignored_files_are_left_out_but_not_what_the_engine_needs(tree: pathlib.Path) -> None:
    (tree / ".dockerignore").write_text("*\n!d/e\n")
    assert set(read(open_context(str(tree), None))) == {".dockerignore", "Dockerfile", "d/e", "d/e/c"}


def test_ignored_directory_is_not_entered(tree: pathlib.Path) -> None:
    (tree / ".dockerignore").write_text("d\n")
    assert list(read(open_context(str(tree), None))) == [".dockerignore", "Dockerfile", "a"]


def test_dockerfile_in_an_ignored_directory_is_sent(tree: pathlib.Path) -> None:
    (tree / ".dockerignore").write_text("d\n")
    context = open_context(str(tree), str(tree / "d" / "b"))
    assert context.dockerfile == "d/b"
    assert list(read(context)) == [".dockerignore", "Dockerfile", "a", "d/b"]


def test_lower_case_dockerfile(tree: pathlib.Path) -> None:
    (tree / "Dockerfile").rename(tree / "dockerfile")
    assert open_context(str(tree), None).dockerfile == "dockerfile"
    (tree / "dockerfile").unlink()
    assert open_context(str(tree), None).dockerfile == "Dockerfile"


def test_dockerfile_through_another_name_of_the_directory(tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree.parent / "alias").symlink_to(tree)
    assert open_context(str(tree), str(tree.parent / "alias" / "d" / "b")).dockerfile == "d/b"
    monkeypatch.chdir(tree)
    assert open_context(".", "d/b").dockerfile == "d/b"


@pytest.mark.parametrize("ignore", [None, "a"])
def test_dockerfile_from_elsewhere(tree: pathlib.Path, ignore: str | None) -> None:
    if ignore:
        (tree / ".dockerignore").write_text(ignore)
    outside = tree.parent / "Other"
    outside.write_text("FROM scratch\nLABEL a=b\n")
    context = open_context(str(tree), str(outside))
    members = read(context)
    assert context.dockerfile.startswith(".dockerfile.")
    assert members[context.dockerfile][1] == outside.read_bytes()
    hiding = members[".dockerignore"][1].decode().split()
    assert sorted(hiding) == sorted([ignore or ".dockerignore", context.dockerfile])
    assert ("a" in members) == (ignore is None)
    assert "Dockerfile" in members


def test_missing_directory(tmp_path: pathlib.Path) -> None:
    with pytest.raises(NotFound, match="is not a directory"):
        open_context(str(tmp_path / "nope"), None)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="is not a directory"):
        open_context(str(tmp_path / "file"), None)


def test_missing_dockerfile(tree: pathlib.Path) -> None:
    with pytest.raises(NotFound, match="is not a file"):
        open_context(str(tree), str(tree / "nope"))
    with pytest.raises(InvalidInput, match="is not a file"):
        open_context(str(tree), str(tree / "d"))


def test_file_that_shrinks_is_noticed(tree: pathlib.Path) -> None:
    (tree / "large").write_bytes(b"x" * (3 << 20))
    chunks = open_context(str(tree), None).chunks()

    def send() -> None:
        for chunk in chunks:
            if len(chunk) == 1 << 20:
                os.truncate(tree / "large", 1 << 20)

    with pytest.raises(SystemFailure, match="large changed while it was read"):
        send()


def test_reader_gives_the_chunks_in_the_pieces_asked_for() -> None:
    reader = ContextReader(iter([b"abc", b"defg"]))
    assert [reader.read(2) for _ in range(5)] == [b"ab", b"c", b"de", b"fg", b""]


@pytest.mark.parametrize(
    ("own", "beside", "sent", "hiding"),
    [
        # the other file alone decides what is sent
        ("a\n", "d\n", {".dockerignore", "Dockerfile", "Dockerfile.dockerignore", "a"}, b"a\n"),
        (
            "a\n",
            "",
            {".dockerignore", "Dockerfile", "Dockerfile.dockerignore", "a", "d", "d/b", "d/e", "d/e/c"},
            b"a\n",
        ),
        # and what the engine hides, though it reads nothing but `.dockerignore`
        ("a\n", "*\n!a\n", {".dockerignore", "Dockerfile", "a"}, b".dockerignore\nDockerfile\n"),
        ("*\n", "*\n!a\n", {".dockerignore", "Dockerfile", "a"}, b"*\n"),
        ("Dockerfile\n", "d\n*.dockerignore\n", {".dockerignore", "Dockerfile", "a"}, b".dockerignore\n"),
        (
            "Dockerfile",
            "d\n",
            {".dockerignore", "Dockerfile", "Dockerfile.dockerignore", "a"},
            b"Dockerfile\n!Dockerfile\n",
        ),
        ("a", "d\nD*\n", {".dockerignore", "Dockerfile", "a"}, b"a\nDockerfile\n"),
        ("a[\n", "d\n", {".dockerignore", "Dockerfile", "Dockerfile.dockerignore", "a"}, b"a[\n"),
        (None, "d\n", {"Dockerfile", "Dockerfile.dockerignore", "a"}, None),
        (None, "d\nDockerfile*\n", {".dockerignore", "Dockerfile", "a"}, b".dockerignore\nDockerfile\n"),
    ],
)
def test_ignore_file_beside_the_dockerfile(
    tree: pathlib.Path, own: str | None, beside: str, sent: set[str], hiding: bytes | None
) -> None:
    if own is not None:
        (tree / ".dockerignore").write_text(own)
    (tree / "Dockerfile.dockerignore").write_text(beside)
    members = read(open_context(str(tree), None))
    assert set(members) == sent
    assert members.get(".dockerignore", (None, None))[1] == hiding


def test_ignore_file_beside_a_dockerfile_elsewhere(tree: pathlib.Path) -> None:
    outside = tree.parent / "Other"
    outside.write_text("FROM scratch\n")
    (tree.parent / "Other.dockerignore").write_text("d\n")
    (tree / ".dockerignore").write_text("a\n")
    context = open_context(str(tree), str(outside))
    members = read(context)
    assert set(members) == {".dockerignore", "Dockerfile", "a", context.dockerfile}
    assert members[".dockerignore"][1] == f"a\n\n{context.dockerfile}\n".encode()
    assert context.ignore.name == "../Other.dockerignore"


def test_hidden_dockerfile_with_wildcards_in_its_name(tree: pathlib.Path) -> None:
    (tree / "D[1]*").write_text("FROM scratch\n")
    (tree / "D[1]*.dockerignore").write_text("d\nD*\n")
    members = read(open_context(str(tree), str(tree / "D[1]*")))
    assert members[".dockerignore"][1] == b".dockerignore\nD\\[1]\\*\n"
    assert IgnorePatterns.read(members[".dockerignore"][1]).ignored("D[1]*")


def test_malformed_patterns_are_refused(tree: pathlib.Path) -> None:
    (tree / ".dockerignore").write_text("!\n")
    with pytest.raises(InvalidInput, match=r"\.dockerignore: illegal exclusion pattern"):
        open_context(str(tree), None)
