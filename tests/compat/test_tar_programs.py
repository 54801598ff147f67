"""Archives of the programs that people use, and ours read by them."""

import functools
import io
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from imagewright.archive import Spool, decompress, read_tree, write_layer
from imagewright.filesystem.layer import Layer, Put
from imagewright.filesystem.tree import Content, Device, Directory, Extent, Fifo, File, Node, Symlink, Tree, walk
from imagewright.oci import Digest
from unit.archive.raw_tar import Stream

pytestmark = pytest.mark.compat

_SECOND = 1_000_000_000
_TIME = 1_600_000_000 * _SECOND


def _require(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def scan(directory: str) -> Tree:
    """Read a directory of the host, small files and all, as a tree whose contents can be read; links are shared."""
    inodes: dict[int, Node] = {}

    def node(path: str) -> Node:
        info = os.lstat(path)
        if info.st_ino in inodes:
            return inodes[info.st_ino]
        names = [name for name in os.listxattr(path, follow_symlinks=False) if not name.startswith("security.selinux")]
        common = {
            "uid": info.st_uid,
            "gid": info.st_gid,
            "mtime_ns": info.st_mtime_ns,
            "xattrs": {name: os.getxattr(path, name, follow_symlinks=False) for name in names},
        }
        made = functools.partial(_make, path, info, common, node)()
        if not stat.S_ISDIR(info.st_mode):
            inodes[info.st_ino] = made
        return made

    root = node(directory)
    assert isinstance(root, Directory)
    return root


def _make(path: str, info: os.stat_result, common: dict[str, object], child: Callable[[str], Node]) -> Node:
    mode = stat.S_IMODE(info.st_mode)
    fields: dict[str, object] = {"mode": mode, **common}
    match stat.S_IFMT(info.st_mode):
        case stat.S_IFDIR:
            children = {name: child(f"{path}/{name}") for name in os.listdir(path)}
            return Directory(**fields, children=children)  # type: ignore[arg-type]
        case stat.S_IFREG:
            data = Path(path).read_bytes()
            return File(**fields, content=Content(Digest.of(data), len(data), Extent(path)))  # type: ignore[arg-type]
        case stat.S_IFLNK:
            return Symlink(**fields, target=os.readlink(path))  # type: ignore[arg-type]
        case stat.S_IFIFO:
            return Fifo(**fields)  # type: ignore[arg-type]
        case kind:
            return Device(
                **fields,  # type: ignore[arg-type]
                kind="block" if kind == stat.S_IFBLK else "character",
                major=os.major(info.st_rdev),
                minor=os.minor(info.st_rdev),
            )


def _populate(root: Path, *, plain: bool) -> None:
    """Make one of everything; `plain` leaves out what the oldest formats cannot hold."""
    (root / "dir" / "empty").mkdir(parents=True)
    (root / "dir" / "file").write_bytes(b"hello\n")
    (root / "dir" / "large").write_bytes(os.urandom(3_000_000))
    (root / "nothing").touch()
    (root / "link").symlink_to("dir/file")
    (root / "absolute").symlink_to("/etc/passwd")
    os.link(root / "dir" / "file", root / "hard")
    (root / "program").write_bytes(b"#!/bin/sh\n")
    os.mkfifo(root / "fifo")
    if os.geteuid() == 0:
        os.chown(root / "program", 1234, 5678)
        os.mknod(root / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    (root / "program").chmod(0o6755)
    (root / "dir" / "empty").chmod(0o1777)
    if not plain:
        (root / ("n" * 200)).write_bytes(b"long name")
        deep = root / ("d" * 90) / ("e" * 90) / ("f" * 90)
        deep.mkdir(parents=True)
        (deep / ("g" * 150)).write_bytes(b"long path")
        (root / "to-long").symlink_to("t" * 300)
        (root / "ünïcödé").write_bytes(b"unicode")
        (root / "new\nline").write_bytes(b"newline")


def _settle(root: Path, time_ns: int) -> None:
    """Give everything a time that the format can hold."""
    for path, _, names in os.walk(root, topdown=False):
        for name in (*names, *(entry for entry in os.listdir(path)), ""):
            os.utime(os.path.join(path, name), ns=(time_ns, time_ns), follow_symlinks=False)


def _read(data: bytes, directory: Path) -> Tree:
    directory.mkdir(exist_ok=True)
    with Spool(str(directory / "spool")) as spool:
        return read_tree(decompress(Stream(data)), spool)


def _same(ours: Tree, theirs: Tree) -> None:
    """Compare without the roots, of which a context says nothing, and with the hard links."""
    assert dict(ours.children) == dict(theirs.children)
    assert _links(ours) == _links(theirs)


def _links(tree: Tree) -> set[tuple[str, ...]]:
    names: dict[int, list[str]] = {}
    for path, node in walk(tree):
        if not isinstance(node, Directory):
            names.setdefault(id(node), []).append(path)
    return {tuple(paths) for paths in names.values()}


def _gnu_tar(root: Path, *arguments: str) -> bytes:
    _require("tar")
    return subprocess.run(
        ["tar", "-C", str(root), *arguments, "-cf", "-", "."], stdout=subprocess.PIPE, check=True
    ).stdout


def _bsdtar(root: Path, *arguments: str) -> bytes:
    _require("bsdtar")
    # Its pax format encodes extended attributes in a form of its own as well; access times are no part of a tree.
    return subprocess.run(
        ["bsdtar", "-C", str(root), *arguments, "-cf", "-", "."],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    ).stdout


def _tarfile(root: Path, format_: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_) as archive:
        archive.add(root, arcname=".")
    return out.getvalue()


WRITERS: dict[str, tuple[Callable[[Path], bytes], bool, bool]] = {
    # name: how to write, whether only what is plain, whether times between seconds are kept
    "gnu-v7": (lambda root: _gnu_tar(root, "--format=v7", "--exclude=./fifo", "--exclude=./device"), True, False),
    "gnu-ustar": (lambda root: _gnu_tar(root, "--format=ustar"), True, False),
    "gnu-oldgnu": (lambda root: _gnu_tar(root, "--format=oldgnu"), False, False),
    "gnu-gnu": (lambda root: _gnu_tar(root, "--format=gnu"), False, False),
    "gnu-posix": (lambda root: _gnu_tar(root, "--format=posix", "--xattrs"), False, True),
    "gnu-gzip": (lambda root: _gnu_tar(root, "-z"), False, False),
    "gnu-bzip2": (lambda root: _gnu_tar(root, "-j"), False, False),
    "gnu-xz": (lambda root: _gnu_tar(root, "-J"), False, False),
    "bsd-ustar": (lambda root: _bsdtar(root, "--format=ustar"), True, False),
    "bsd-gnutar": (lambda root: _bsdtar(root, "--format=gnutar"), False, False),
    "bsd-pax": (lambda root: _bsdtar(root, "--format=pax", "--xattrs"), False, True),
    "python-ustar": (lambda root: _tarfile(root, tarfile.USTAR_FORMAT), True, False),
    "python-gnu": (lambda root: _tarfile(root, tarfile.GNU_FORMAT), False, False),
    "python-pax": (lambda root: _tarfile(root, tarfile.PAX_FORMAT), False, False),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_reads_the_archives_of(writer: str, tmp_path: Path) -> None:
    write, plain, fine = WRITERS[writer]
    root = tmp_path / "root"
    root.mkdir()
    _populate(root, plain=plain)
    if fine:
        os.setxattr(root / "program", "user.note", b"\0\xff=\n")
    if writer == "gnu-v7":
        for name in ("fifo", "device"):
            (root / name).unlink(missing_ok=True)
    _settle(root, _TIME + 123_456_789 if fine else _TIME)
    _same(_read(write(root), tmp_path / "read"), scan(str(root)))


@pytest.mark.parametrize("version", ["old", "0.0", "0.1", "1.0"])
def test_reads_the_sparse_files_of_gnu_tar(version: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for number in (0, 1, 3, 40):
        with (root / f"sparse-{number}").open("wb") as file:
            for piece in range(number):
                file.seek(piece * 100_000 + 50_000)
                file.write(b"piece" * 500)
            file.truncate(5_000_000)
    (root / ("n" * 150)).write_bytes(bytes(200_000) + b"x")
    _settle(root, _TIME)
    options = ["--format=gnu"] if version == "old" else ["--format=posix", f"--sparse-version={version}"]
    _same(_read(_gnu_tar(root, "--sparse", "--hole-detection=raw", *options), tmp_path / "read"), scan(str(root)))


def test_reads_the_sparse_files_of_bsdtar(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with (root / "sparse").open("wb") as file:
        file.seek(1_000_000)
        file.write(b"piece" * 500)
        file.truncate(5_000_000)
    _settle(root, _TIME)
    _same(_read(_bsdtar(root, "--format=pax"), tmp_path / "read"), scan(str(root)))


def _layer(tree: Tree) -> Layer:
    def bare(node: Node) -> Node:
        if isinstance(node, Directory):
            return Directory(mode=node.mode, uid=node.uid, gid=node.gid, mtime_ns=node.mtime_ns, xattrs=node.xattrs)
        return node

    key: Callable[[tuple[str, Node]], list[bytes]] = lambda item: [os.fsencode(name) for name in item[0].split("/")]  # noqa: E731
    return Layer(tuple(Put(path, bare(node)) for path, node in sorted(walk(tree), key=key)))


def _extract_with_tarfile(archive: Path, root: Path) -> None:
    with tarfile.open(archive) as opened:
        opened.extractall(root, filter="fully_trusted")  # noqa: S202 - it is our own


READERS: dict[str, Callable[[Path, Path], None]] = {
    "gnu": lambda archive, root: _extract(
        "tar", "-C", str(root), "--xattrs", "--xattrs-include=*", "-xpf", str(archive)
    ),
    "bsd": lambda archive, root: _extract("bsdtar", "-C", str(root), "-xpf", str(archive)),
    "python": _extract_with_tarfile,
}


def _extract(program: str, *arguments: str) -> None:
    _require(program)
    subprocess.run([program, *arguments], check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})


@pytest.mark.parametrize("reader", READERS)
def test_is_read_by(reader: str, tmp_path: Path) -> None:
    root, copy = tmp_path / "root", tmp_path / "copy"
    root.mkdir()
    copy.mkdir()
    _populate(root, plain=False)
    Path(os.fsdecode(bytes(root) + b"/\xff\xfe")).write_bytes(b"no text")
    if reader != "python":  # which knows no extended attributes
        os.setxattr(root / "program", "user.note", b"\0\xff=\n")
    _settle(root, _TIME + (0 if reader == "python" else 123_456_789))
    tree = scan(str(root))
    archive = tmp_path / "archive.tar"
    with archive.open("wb") as out:
        write_layer(_layer(tree), out)
    READERS[reader](archive, copy)
    if reader == "python":  # which leaves the times of directories and links to chance
        _settle(copy, _TIME)
    _same(scan(str(copy)), tree)


def test_gnu_tar_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    _populate(root, plain=False)
    archive = tmp_path / "archive.tar"
    with archive.open("wb") as out:
        write_layer(_layer(scan(str(root))), out)
    for program in ("tar", "bsdtar"):
        _require(program)
        result = subprocess.run([program, "-tvf", str(archive)], capture_output=True, check=True)
        assert result.stderr == b""
