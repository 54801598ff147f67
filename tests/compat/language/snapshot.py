"""An image as what a container finds: the flattened files and the run configuration, in a form that compares."""

import hashlib
import io
import json
import posixpath
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from support.unixhttp import request

__all__ = ["Snapshot", "read_snapshots"]

_KINDS = {tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.CHRTYPE: "c", tarfile.BLKTYPE: "b", tarfile.FIFOTYPE: "p"}
_LONGEST = 1 << 16
_XATTR = "SCHILY.xattr."
# Of a configuration: how a container runs.
_RUNNING = (
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The entries of an image by path, and its configuration.

    An entry is told as `f 0644 0:0 = text` (or `d`, `l ... -> target`), with ` key=value` for extended attributes, and
    with ` & path` for a file that an earlier path leads to as well. Modes of symbolic links and times are left out.
    """

    files: Mapping[str, str]
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Node:
    """One entry; `inode` is the same for hard links of one file."""

    text: str
    inode: tuple[str, int]
    directory: bool


_Layer = Sequence[tuple[str, "_Node | str"]]


def read_snapshots(socket: str, names: Sequence[str], known: dict[str, Mapping[str, _Node]]) -> list[Snapshot]:
    """Return what the engine at `socket` has under `names`; `known` are trees by what they are made of, to be kept."""
    query = "&".join(f"names={quote(name)}" for name in names)
    status, answer = request(socket, "GET", f"/v1.41/images/get?{query}", timeout=120)
    assert status == 200, answer
    with tarfile.open(fileobj=io.BytesIO(answer)) as tar:
        images = {tag: entry for entry in json.loads(_read(tar, "manifest.json")) for tag in entry["RepoTags"] or ()}
        return [_snapshot(tar, images[f"{name}:latest"], known) for name in names]


def _snapshot(tar: tarfile.TarFile, entry: Mapping[str, Any], known: dict[str, Mapping[str, _Node]]) -> Snapshot:
    config = json.loads(_read(tar, entry["Config"]))
    tree: Mapping[str, _Node] = {}
    chain = ""
    for diff_id, layer in zip(config["rootfs"].get("diff_ids") or (), entry["Layers"] or (), strict=True):
        chain = f"{chain} {diff_id}"
        if chain not in known:
            known[chain] = _applied(tree, _layer(_read(tar, layer), diff_id))
        tree = known[chain]
    first: dict[tuple[str, int], str] = {}
    files = {}
    for path, node in sorted(tree.items()):
        earlier = first.setdefault(node.inode, path)
        files[path] = node.text + (f" & {earlier}" if earlier != path else "")
    running = {key: config["config"][key] for key in _RUNNING if config["config"].get(key)}
    platform = {key: config[key] for key in ("os", "architecture", "variant", "author") if config.get(key)}
    return Snapshot(files, {**running, **platform})


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    info = tar.getmember(name)
    if info.issym():
        info = tar.getmember(posixpath.normpath(posixpath.join(posixpath.dirname(name), info.linkname)))
    file = tar.extractfile(info)
    assert file is not None, name
    return file.read()


def _layer(data: bytes, diff_id: str) -> _Layer:
    entries: list[tuple[str, _Node | str]] = []
    nodes: dict[str, _Node] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for number, info in enumerate(tar):
            path = info.name.removeprefix("./").strip("/")
            directory, _, name = path.rpartition("/")
            if path in {"", "."}:
                continue
            if name == ".wh..wh..opq":
                entries.append((directory, "opaque"))
            elif name.startswith(".wh."):
                entries.append((posixpath.join(directory, name[4:]), "whiteout"))
            elif info.islnk():
                entries.append((path, nodes[info.linkname.removeprefix("./").strip("/")]))
            else:
                nodes[path] = _node(tar, info, (diff_id, number))
                entries.append((path, nodes[path]))
    return entries


def _node(tar: tarfile.TarFile, info: tarfile.TarInfo, inode: tuple[str, int]) -> _Node:
    kind = _KINDS.get(info.type, "f")
    text = kind if kind == "l" else f"{kind} {info.mode & 0o7777:04o}"
    text += f" {info.uid}:{info.gid}"
    if kind in "cb":
        text += f" {info.devmajor},{info.devminor}"
    xattrs = {key.removeprefix(_XATTR): info.pax_headers[key] for key in sorted(info.pax_headers) if _XATTR in key}
    text += "".join(f" {key}={value}" for key, value in xattrs.items())
    file = tar.extractfile(info) if kind == "f" else None
    if file:
        data = file.read()
        # A program says as much by its digest.
        shown = data.decode("utf-8", "backslashreplace") if len(data) < _LONGEST else hashlib.sha256(data).hexdigest()
        text += f" = {shown}"
    return _Node(f"{text} -> {info.linkname}" if kind == "l" else text, inode, kind == "d")


def _applied(below: Mapping[str, _Node], layer: _Layer) -> Mapping[str, _Node]:
    tree = dict(below)
    for path, node in layer:
        if isinstance(node, str):
            _remove(tree, path, itself=node == "whiteout")
    for path, node in layer:
        if isinstance(node, str):
            continue
        if path in tree and tree[path].directory and not node.directory:
            _remove(tree, path, itself=True)
        tree[path] = node
    return tree


def _remove(tree: dict[str, _Node], path: str, *, itself: bool) -> None:
    for other in [other for other in tree if other.startswith(f"{path}/") or (itself and other == path)]:
        del tree[other]
