"""COPY, ADD and WORKDIR give what the real engine gives, entry by entry; and so does folding its layers.

The cases are data: see copy_cases/cases.toml.
"""

import hashlib
import io
import json
import os
import posixpath
import re
import tarfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode

import pytest
from support.builder import Member, archive
from support.dockerd import Dockerd, dockerd
from support.unixhttp import request

from imagewright.errors import InvalidInput
from imagewright.filesystem import (
    EMPTY,
    Accounts,
    Change,
    Content,
    CopyRequest,
    Device,
    Directory,
    Extent,
    Fifo,
    File,
    Layer,
    Node,
    Opaque,
    Put,
    Selected,
    Symlink,
    Tree,
    Whiteout,
    apply,
    arrange,
    find,
    place,
    select,
    walk,
    workdir_layer,
)
from imagewright.oci import Digest

pytestmark = pytest.mark.compat

_HERE = os.path.join(os.path.dirname(__file__), "copy_cases")
_NOW_NS = 1_600_000_000_000_000_000  # what ours calls now; no member has this time


@dataclass(frozen=True)
class Case:
    """One case of cases.toml, whose head says what the fields mean."""

    name: str
    target: str
    sources: tuple[str, ...] = ()
    instruction: str = "COPY"
    workdir: str = "/"
    chown: str = ""
    chmod: str = ""
    from_: bool = False
    like: str = "classic"
    error: str = ""
    differently: bool = False
    without: tuple[str, ...] = ()
    expect: Mapping[str, str] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        """The lines of a Dockerfile stage, without its FROM."""
        workdir = "" if self.workdir == "/" else f"WORKDIR {self.workdir}\n"
        if self.instruction == "WORKDIR":
            return f"WORKDIR {self.target}\n"
        flags = [
            f"--chown={self.chown} " if self.chown else "",
            f"--chmod={self.chmod} " if self.chmod else "",
            "--from=base:1 " if self.from_ else "",
        ]
        words = json.dumps([*self.sources, self.target], ensure_ascii=False)
        return f"{workdir}{self.instruction} {''.join(flags)}{words}\n"


def _cases() -> list[Case]:
    with open(os.path.join(_HERE, "cases.toml"), "rb") as file:
        loaded = tomllib.load(file)["case"]
    return [_case(fields) for fields in loaded]


def _case(fields: dict[str, Any]) -> Case:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return Case(from_=values.pop("from", False), **values)


_CASES = _cases()
_COMPARED = [case for case in _CASES if not case.error and case.like != "none"]
_REFUSED = [case for case in _CASES if case.error]
_DECLARED = [case for case in _CASES if case.expect]


def _members(name: str) -> list[tuple[str, Member]]:
    with open(os.path.join(_HERE, name), encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file if not line.startswith("#")]
    return [_member(line) for line in lines]


def _member(line: str) -> tuple[str, Member]:
    kind, mode, owner, seconds, path, *rest = line.split(" ", 5)
    uid, gid = owner.split(":")
    types = {"d": tarfile.DIRTYPE, "f": tarfile.REGTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE}
    text = rest[0] if rest else ""
    member = Member(mode=int(mode, 8), uid=int(uid), gid=int(gid), mtime=int(seconds), type=types[kind])
    if text.startswith("-> "):
        member = replace(member, target=text.removeprefix("-> "))
    elif text.startswith("= "):
        member = replace(member, data=unquote_to_bytes(text.removeprefix("= ")))
    elif text:
        key, _, value = text.partition("=")
        decoded = unquote_to_bytes(value).decode("utf-8", "surrogateescape")
        member = replace(member, pax_headers={f"SCHILY.xattr.{key}": decoded})
    return unquote_to_bytes(path).decode("utf-8", "surrogateescape"), member


def _base_tar() -> bytes:
    with open("/bin/busybox", "rb") as program:
        busybox = program.read()
    members = dict(_members("base.txt"))
    members["bin/busybox"] = replace(members["bin/busybox"], data=busybox)
    return archive(members)


def _context_members() -> list[tuple[str, Member]]:
    packed = _members("archive.txt")
    dotted = [("./", Member(mode=0o700, uid=5, type=tarfile.DIRTYPE)), ("./q", Member(b"q", mtime=1_300_000_000))]
    archives = [("pk.tar", Member(archive(packed))), ("pk.tgz", Member(archive([("q", Member(b"q"))])))]
    return [*_members("context.txt"), *archives, ("dot.tar", Member(archive(dotted)))]


def _read_layer(data: bytes) -> Layer:
    """Return the layer of a tar, by way of the standard library, which is independent of ours."""
    changes: list[Change] = []
    nodes: dict[str, Node] = {}
    with tarfile.open(fileobj=io.BytesIO(data), errorlevel=2) as tar:
        for info in tar:
            path = posixpath.normpath(info.name).lstrip("/")
            parent, _, name = path.rpartition("/")
            if path == ".":
                continue
            if name == ".wh..wh..opq":
                changes.append(Opaque(parent))
            elif name.startswith(".wh."):
                changes.append(Whiteout(f"{parent}/{name[4:]}".lstrip("/")))
            else:
                node = nodes[posixpath.normpath(info.linkname)] if info.islnk() else _node(tar, info)
                nodes[path] = node
                changes.append(Put(path, node))
    return arrange(changes)


def _node(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Node:
    inode: dict[str, Any] = {
        "mode": info.mode & 0o7777,
        "uid": info.uid,
        "gid": info.gid,
        "mtime_ns": int(info.mtime) * 10**9,
        "xattrs": {
            key.removeprefix("SCHILY.xattr."): value.encode("utf-8", "surrogateescape")
            for key, value in info.pax_headers.items()
            if key.startswith("SCHILY.xattr.")
        },
    }
    if info.isdir():
        return Directory(**inode)
    if info.issym():
        return Symlink(**{**inode, "mode": 0o777}, target=info.linkname)
    if info.isfifo():
        return Fifo(**inode)
    if info.ischr() or info.isblk():
        return Device(**inode, kind="character" if info.ischr() else "block", major=info.devmajor, minor=info.devminor)
    reader = tar.extractfile(info)
    assert reader is not None
    data = reader.read()
    return File(**inode, content=Content(Digest(hashlib.sha256(data).hexdigest()), len(data), Extent("")))


class Engine:
    """The real engine, with the base in it as base:1."""

    def __init__(self, engine: Dockerd) -> None:
        self._socket = engine.socket
        self._docker = engine.docker
        self._layers: dict[bytes, Layer] = {}
        self.context = _context_members()

    def load_base(self) -> Tree:
        """Make the base, its first layer and those of layers.txt; return its tree."""
        status, answer = request(self._socket, "POST", "/images/create?fromSrc=-&repo=base&tag=0", _base_tar())
        assert status == 200, answer
        with open(os.path.join(_HERE, "layers.txt"), encoding="utf-8") as file:
            runs = [f"RUN {line}" for line in file if not line.startswith("#")]
        ids, error = self.build("FROM base:0\n" + "".join(runs), t="base:1")
        assert not error
        assert len(self.save(ids)[ids[-1]]) == len(runs) + 1
        return self.fold(ids)[ids[-1]]

    def build(self, dockerfile: str, **parameters: str) -> tuple[list[str], str]:
        """Build; return the image ids of the stages, and the error or nothing."""
        members = self.context
        if "version" in parameters:
            # BuildKit believes the owners in a tar that comes as a body; in a session a client sends it root's.
            members = [(name, replace(member, uid=0, gid=0)) for name, member in members]
        body = archive([*members, ("Dockerfile", Member(dockerfile.encode()))])
        status, answer = request(self._socket, "POST", f"/build?{urlencode(parameters)}", body, timeout=120)
        messages = [json.loads(line) for line in answer.decode().splitlines() if line]
        if status != 200:
            return [], str(messages[0]["message"])
        ids = [m["aux"]["ID"] for m in messages if isinstance(m.get("aux"), dict) and "ID" in m["aux"]]
        return ids, next((str(m["error"]) for m in messages if "error" in m), "")

    def save(self, names: Sequence[str]) -> dict[str, list[bytes]]:
        """Return the layer tars of images by id, lowest first."""
        query = "&".join(f"names={quote(name)}" for name in names)
        status, answer = request(self._socket, "GET", f"/images/get?{query}", timeout=120)
        assert status == 200, answer
        with tarfile.open(fileobj=io.BytesIO(answer)) as tar:
            manifest = json.loads(_member_bytes(tar, "manifest.json"))
            return {
                f"sha256:{image['Config'].removesuffix('.json')}": [
                    _member_bytes(tar, layer) for layer in image["Layers"]
                ]
                for image in manifest
            }

    def fold(self, names: Sequence[str]) -> dict[str, Tree]:
        """Return the trees of images by id."""
        trees = {}
        for name, layers in self.save(names).items():
            tree = EMPTY
            for data in layers:
                key = hashlib.sha256(data).digest()
                if key not in self._layers:
                    self._layers[key] = _read_layer(data)
                tree = apply(tree, self._layers[key])
            trees[name] = tree
        return trees

    def export(self, name: str) -> Tree:
        """Return the flattened filesystem of an image as the engine itself exports it."""
        container = self._docker("create", name, "/bin/sh").decode().strip()
        return apply(EMPTY, _read_layer(self._docker("export", container)))


def _member_bytes(tar: tarfile.TarFile, name: str) -> bytes:
    info = tar.getmember(name)
    if info.issym():
        info = tar.getmember(posixpath.normpath(posixpath.join(posixpath.dirname(name), info.linkname)))
    reader = tar.extractfile(info)
    assert reader is not None
    return reader.read()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with dockerd(str(tmp_path_factory.mktemp("engine"))) as running:
        yield Engine(running)


@pytest.fixture(scope="module")
def base(engine: Engine) -> Tree:
    return engine.load_base()


@pytest.fixture(scope="module")
def context() -> Tree:
    return apply(EMPTY, _read_layer(archive(_context_members())))


@pytest.fixture(scope="module")
def theirs(engine: Engine, base: Tree) -> dict[str, Tree]:
    """What the engine makes of the compared cases: all of the classic builder's in one build."""
    assert base is not EMPTY
    classic = [case for case in _COMPARED if case.like == "classic"]
    stages = "".join(f"FROM base:1 AS stage{number}\n{case.stage}" for number, case in enumerate(classic))
    ids, error = engine.build(stages)
    assert not error
    trees = engine.fold(ids)
    found = {case.name: trees[id_] for case, id_ in zip(classic, ids, strict=True)}
    for case in _COMPARED:
        if case.like == "buildkit":
            ids, error = engine.build(f"FROM base:1\n{case.stage}", version="2", t="case:1")
            assert not error, case.name
            found[case.name] = next(iter(engine.fold(["case:1"]).values()))
    return found


def _ours(case: Case, base: Tree, context: Tree) -> Tree:
    passwd, group = (_bytes_of(base, f"etc/{name}") for name in ("passwd", "group"))
    uid, gid = Accounts.parse(passwd, group).resolve_owner(case.chown) if case.chown else (None, None)
    if case.instruction == "WORKDIR":
        return apply(base, workdir_layer(base, case.target, 0, 0, _NOW_NS))
    copy_request = CopyRequest(
        sources=case.sources,
        target=case.target,
        workdir=case.workdir,
        uid=uid,
        gid=gid,
        mode=int(case.chmod, 8) if case.chmod else None,
        now_ns=_NOW_NS,
        instruction=case.instruction,
        context=not case.from_,
    )
    source = base if case.from_ else context
    selected = select(case.sources, source, instruction=case.instruction, context=copy_request.context)
    if case.instruction == "ADD":
        members = dict(_context_members())
        selected = [_opened(one, members) for one in selected]
    return apply(base, place(copy_request, selected, base))


def _opened(one: Selected, members: Mapping[str, Member]) -> Selected:
    if re.search(r"\.(tar|tgz)$", one.path) is None:
        return one
    return replace(one, archive=_read_layer(members[one.path].data))


def _bytes_of(base: Tree, path: str) -> bytes:
    node = find(base, path)
    assert isinstance(node, File)
    return next(member.data for name, member in _members("base.txt") if name == path)


def _described(tree: Tree) -> dict[str, tuple[object, ...]]:
    """Return what is to be equal of each entry; times are compared apart."""
    first: dict[int, str] = {}
    described: dict[str, tuple[object, ...]] = {}
    for path, node in walk(tree):
        kind, detail = _detail(node)
        link = "" if isinstance(node, Directory) else first.setdefault(id(node), path)
        described[path] = (kind, f"{node.mode:04o}", f"{node.uid}:{node.gid}", detail, link, dict(node.xattrs))
    return described


def _detail(node: Node) -> tuple[str, object]:
    if isinstance(node, File):
        return "f", node.content
    if isinstance(node, Symlink):
        return "l", node.target
    if isinstance(node, Device):
        return node.kind[0], (node.major, node.minor)
    return ("d" if isinstance(node, Directory) else "p"), None


def _times(tree: Tree, *, exact: Tree) -> dict[str, object]:
    """Return each entry's time; "now" for a directory that somebody made, or may have changed by writing into it."""
    recent = (time.time() - 3600) * 10**9
    times: dict[str, object] = {}
    for path, node in walk(tree):
        made = node.mtime_ns == _NOW_NS or node.mtime_ns > recent
        other = find(exact, path)
        touched = other is not None and (other.mtime_ns == _NOW_NS or other.mtime_ns > recent)
        times[path] = "now" if isinstance(node, Directory) and (made or touched) else node.mtime_ns
    return times


def _without(tree: Tree, case: Case) -> Tree:
    return apply(tree, Layer(tuple(Whiteout(path) for path in case.without)))


def test_folding_layers_gives_what_the_engine_exports(engine: Engine, base: Tree) -> None:
    # The engine puts these into every container.
    own = Layer(
        tuple(Whiteout(path) for path in (".dockerenv", "dev", "proc", "sys"))
        + tuple(Whiteout(f"etc/{name}") for name in ("hosts", "hostname", "mtab", "resolv.conf"))
    )
    assert _described(apply(base, own)) == _described(apply(engine.export("base:1"), own))


@pytest.mark.parametrize("case", _COMPARED, ids=lambda case: case.name)
def test_result_is_the_engines(case: Case, base: Tree, context: Tree, theirs: dict[str, Tree]) -> None:
    ours = _without(_ours(case, base, context), case)
    other = _without(theirs[case.name], case)

    assert _described(ours) == _described(other)
    assert _times(ours, exact=other) == _times(other, exact=ours)


@pytest.mark.parametrize("case", _REFUSED, ids=lambda case: case.name)
def test_refusal_is_the_engines(case: Case, engine: Engine, base: Tree, context: Tree) -> None:
    with pytest.raises(InvalidInput) as caught:
        _ours(case, base, context)

    assert str(caught.value) == case.error
    if case.like != "none":
        version = {"version": "2"} if case.like == "buildkit" else {}
        _, error = engine.build(f"FROM base:1\n{case.stage}", **version)
        assert error
        if case.like == "classic" and not case.differently:
            assert error == case.error


@pytest.mark.parametrize("case", _DECLARED, ids=lambda case: case.name)
def test_result_is_the_declared_one(case: Case, base: Tree, context: Tree) -> None:
    described = _described(_ours(case, base, context))

    assert {path: " ".join(map(str, described[path][:3])) for path in case.expect} == case.expect
