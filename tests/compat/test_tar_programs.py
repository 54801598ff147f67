"""Archives of the programs that people use, and ours read by them."""

import functools
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from imagewright.archive import Member, Spool, decompress, read_layer, read_tree, write_layer, write_members
from imagewright.errors import InvalidInput
from imagewright.filesystem.layer import Layer, Put
from imagewright.filesystem.tree import Content, Device, Directory, Extent, Fifo, File, Node, Symlink, Tree, walk
from imagewright.oci import Digest
from support.dockerd import Dockerd, dockerd
from support.unixhttp import request
from unit.archive.raw_tar import END, Stream, header, member, pax

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


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    _require("dockerd", "docker", "unshare")
    if os.geteuid() != 0:
        pytest.skip("dockerd needs root")
    with dockerd(str(tmp_path_factory.mktemp("engine"))) as running:
        yield running


def _saved(engine: Dockerd, image: str) -> tuple[dict[str, bytes], list[str], dict[str, object]]:
    """Return the members of a saved image, the names of its layers, and its configuration."""
    status, data = request(engine.socket, "GET", f"/images/{image}/get")
    assert status == 200, data
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = {
            info.name: archive.extractfile(info).read()  # type: ignore[union-attr]
            for info in archive
            if info.isfile()
        }
    (manifest,) = json.loads(members["manifest.json"])
    return members, manifest["Layers"], json.loads(members[manifest["Config"]])


def _problem(data: bytes) -> str:
    """Return the error in the engine's messages, "" if there is none."""
    messages = [json.loads(line) for line in data.splitlines() if line.strip()]
    return next((str(it.get("error") or it.get("message")) for it in messages if {"error", "message"} & set(it)), "")


def _shape(tree: Tree) -> list[tuple[object, ...]]:
    """What is where: the classic builder resets owners, and times to what its disk can hold."""
    shape: list[tuple[object, ...]] = []
    for path, node in walk(tree):
        detail = node.content.digest if isinstance(node, File) else node.target if isinstance(node, Symlink) else None
        shape.append((path, type(node).__name__, node.mode, detail))
    return shape


def _directory(name: bytes) -> bytes:
    return header(name, kind=b"5", mode=b"0000755\0")


def _link(name: bytes, target: bytes, kind: bytes = b"2") -> bytes:
    return header(name, kind=kind, link=target)


# Contexts that the engine and we read alike: to one tree, or not at all.
CONTEXTS: dict[str, bytes] = {
    "file-as-parent": member(b"f", b"x") + member(b"f/g", b"y"),
    "directory-replaced": _directory(b"d") + member(b"d/x") + member(b"d", b"1"),
    "directory-over-file": member(b"d", b"1") + _directory(b"d") + member(b"d/x"),
    "below-link": _directory(b"r") + _link(b"l", b"r") + member(b"l/x", b"1"),
    "below-absolute-link": _directory(b"r") + _link(b"l", b"/r") + member(b"l/x", b"1"),
    "below-link-upwards": _directory(b"r") + _link(b"l", b"../../r") + member(b"l/x", b"1"),
    "new-directory-below-link": _directory(b"r") + _link(b"l", b"r") + member(b"l/new/x", b"1"),
    "below-dangling-link": _link(b"l", b"nope") + member(b"l/x", b"1"),
    "deep-below-dangling-link": _link(b"l", b"nope") + member(b"l/y/x", b"1"),
    "below-link-to-file": member(b"t") + _link(b"l", b"t") + member(b"l/x", b"1"),
    "directory-over-link": _directory(b"r") + _link(b"l", b"r") + _directory(b"l") + member(b"l/x", b"1"),
    "links-outside": _link(b"a", b"/etc/passwd") + _link(b"u", b"../../../etc/passwd"),
    "empty-link": _link(b"l", b""),
    "hard-link-to-nothing": _link(b"h", b"nope", b"1"),
    "hard-link-forward": _link(b"h", b"f", b"1") + member(b"f", b"x"),
    "hard-link-to-directory": _directory(b"d") + _link(b"h", b"d", b"1"),
    "hard-link-to-link": member(b"f", b"x") + _link(b"l", b"f") + _link(b"h", b"l", b"1"),
    "hard-link-absolute": member(b"f", b"x") + _link(b"h", b"/f", b"1"),
    "hard-link-upwards": member(b"f", b"x") + _link(b"h", b"../f", b"1"),
    "hard-link-through-link": _directory(b"d") + member(b"d/f", b"x") + _link(b"l", b"d") + _link(b"h", b"l/f", b"1"),
    "upwards": member(b"../evil", b"x") + member(b"a/../../worse", b"x"),
    "absolute": member(b"/abs/x", b"x"),
    "twice": member(b"f", b"1") + member(b"f", b"2"),
    "root-as-file": member(b".", b"1") + member(b"", b"1") + member(b"f", b"2"),
    "root-with-mode": header(b"./", kind=b"5", mode=b"0000700\0") + member(b"f", b"2"),
    "longest-name": pax({b"path": b"x" * 255}) + member(b"f", b"1"),
    "too-long-name": pax({b"path": b"x" * 256}) + member(b"f", b"1"),
    "long-path": pax({b"path": b"/".join([b"x" * 200] * 15)}) + member(b"f", b"1"),
    "name-with-nul": pax({b"path": b"a\0b"}) + member(b"f", b"1"),
    "name-with-newline": member(b"a\nb", b"1"),
    "too-long-header": pax({b"comment": b"x" * (1 << 20)}) + member(b"f", b"1"),
    "bad-checksum": header(b"f", checksum=b"0000000\0"),
    "many-digits": pax({b"mtime": b"9" * 5000}) + member(b"f", b"1"),
    "negative-size": pax({b"size": b"-1"}) + member(b"f", b"1"),
    "volume-label": header(b"label", kind=b"V") + member(b"f", b"1"),
    "zeros-within": bytes(512) + member(b"f", b"1"),
    "directory-with-size": header(b"d", kind=b"5", size=512) + member(b"f", b"1"),
    "old-directory": header(b"d/", kind=b"\0") + member(b"f", b"1"),
    "whiteout-names": member(b"f", b"1") + member(b".wh.f") + member(b"d/f", b"1") + member(b"d/.wh..wh..opq"),
    "garbage-after": member(b"f", b"1") + END + b"garbage" * 300,
}
CUT_CONTEXTS: dict[str, bytes] = {
    "no-end": member(b"f", b"1"),
    "half-an-end": member(b"f", b"1") + bytes(512),
    "cut-end": member(b"f", b"1") + bytes(700),
    "cut-padding": member(b"f", b"1")[:600],
    "cut-content": member(b"f", b"1" * 600)[:700],
    "cut-header": member(b"f", b"1") + header(b"g")[:400],
}


@pytest.mark.parametrize("name", [*CONTEXTS, *CUT_CONTEXTS])
def test_reads_a_context_as_the_engine_does(name: str, engine: Dockerd, tmp_path: Path) -> None:
    context = member(b"Dockerfile", b"FROM scratch\nCOPY . /\n")
    context += CONTEXTS[name] + END if name in CONTEXTS else CUT_CONTEXTS[name]
    status, answer = request(engine.socket, "POST", "/build?t=probe&nocache=1", context)
    try:
        ours = _read(context, tmp_path / "ours")
    except InvalidInput:
        ours = None
    if ours is None:
        assert status != 200 or _problem(answer)
        return
    assert (status, _problem(answer)) == (200, "")
    members, layers, _ = _saved(engine, "probe")
    # The layer has names of whiteouts as files, as the context had: what the engine makes of them is its mistake.
    theirs = _read(members[layers[-1]], tmp_path / "theirs")
    assert _shape(theirs) == _shape(ours)
    assert _links(theirs) == _links(ours)


def test_reads_what_the_engine_saves(engine: Dockerd, tmp_path: Path) -> None:
    _require("busybox")
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    base = member(b"bin/busybox", busybox, mode=b"0000755\0") + _link(b"bin/sh", b"busybox") + END
    assert _problem(request(engine.socket, "POST", "/images/create?fromSrc=-&repo=base", base)[1]) == ""
    dockerfile = (
        b"FROM base\n"
        b"RUN busybox mkdir -p /d/e && busybox touch /d/e/f /gone && busybox ln /d/e/f /hard\n"
        b"RUN busybox rm -rf /gone /d/e && busybox mkdir /d/e && busybox touch /d/e/g\n"
        b"COPY Dockerfile /new/\n"
    )
    answer = request(engine.socket, "POST", "/build?t=saved", member(b"Dockerfile", dockerfile) + END)[1]
    assert _problem(answer) == ""
    members, layers, config = _saved(engine, "saved")
    diff_ids = config["rootfs"]["diff_ids"]  # type: ignore[index]
    assert len(layers) == len(diff_ids) == 4
    changes = []
    for number, (name, expected) in enumerate(zip(layers, diff_ids, strict=True)):
        with Spool(str(tmp_path / str(number))) as spool:
            layer, diff_id = read_layer(Stream(members[name]), spool)
        assert str(diff_id) == expected
        changes.append([f"{type(change).__name__} {change.path}" for change in layer.changes])
    made = [change for change in changes[1] if "proc" not in change and "sys" not in change]
    assert [*made] == ["Put d", "Put d/e", "Put d/e/f", "Put gone", "Put hard"]
    assert changes[2] == ["Put d", "Put d/e", "Opaque d/e", "Put d/e/g", "Whiteout gone"]
    assert changes[3] == ["Put new", "Put new/Dockerfile"]


def test_the_engine_loads_what_we_write(engine: Dockerd, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    _populate(root, plain=False)
    Path(os.fsdecode(bytes(root) + b"/\xff\xfe")).write_bytes(b"no text")
    _settle(root, _TIME + 123_456_789)
    tree = scan(str(root))
    layer = io.BytesIO()
    diff_id = write_layer(_layer(tree), layer)
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [str(diff_id)]}}
    manifest = [{"Config": "config.json", "RepoTags": ["ours:latest"], "Layers": ["layer.tar"]}]
    archive = io.BytesIO()
    pieces = [layer.getvalue()[at : at + 1000] for at in range(0, len(layer.getvalue()), 1000)]
    write_members(
        [
            Member(path="layer.tar", data=pieces, size=len(layer.getvalue())),
            Member(path="config.json", data=json.dumps(config).encode()),
            Member(path="manifest.json", data=json.dumps(manifest).encode()),
        ],
        archive,
    )
    status, answer = request(engine.socket, "POST", "/images/load", archive.getvalue())
    assert (status, _problem(answer)) == (200, "")
    container = engine.docker("create", "ours", "nothing").decode().strip()
    _, exported = request(engine.socket, "GET", f"/containers/{container}/export")
    engine.docker("rm", container)
    theirs = _read(exported, tmp_path / "exported")
    added = {".dockerenv", "dev", "etc", "proc", "sys"}  # mount points of every container
    assert {name: node for name, node in theirs.children.items() if name not in added} == {
        name: _whole_seconds(node) for name, node in tree.children.items()
    }


def _whole_seconds(node: Node) -> Node:
    """Return `node` as an archive with times in seconds has it, which is what the engine exports."""
    mtime_ns = node.mtime_ns // _SECOND * _SECOND
    if isinstance(node, Directory):
        children = {name: _whole_seconds(child) for name, child in node.children.items()}
        return replace(node, mtime_ns=mtime_ns, children=children)
    return replace(node, mtime_ns=mtime_ns)
