"""COPY, ADD and WORKDIR as arithmetic on trees: the one implementation of their rules.

https://docs.docker.com/reference/dockerfile/#copy. Where the engines differ: docs/decisions/0001-layers-are-data.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from imagewright.errors import InvalidInput
from imagewright.filesystem.draft import Draft, DraftDirectory
from imagewright.filesystem.layer import Layer, Put
from imagewright.filesystem.links import clean, resolve
from imagewright.filesystem.modes import ModeChange
from imagewright.filesystem.selection import Selected, select
from imagewright.filesystem.tree import Directory, File, Node, Symlink, Tree, find

__all__ = ["CopyRequest", "copy", "place", "workdir_layer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRequest:
    """The arguments of a COPY or ADD, variables expanded.

    `target` is as written: its trailing slash counts, and if it is relative it starts at `workdir`. `uid`, `gid` and
    `mode` are those of `--chown` and `--chmod`; `parents` and `exclude` are for `select`. Without them, modes are kept,
    and what comes from the build `context` is root's, while what comes from another stage or image keeps its owner.
    Members of an archive keep all they have in any case. `now_ns` is the time of directories made on the way.
    """

    sources: Sequence[str]
    target: str
    workdir: str = "/"
    uid: int | None = None
    gid: int | None = None
    mode: int | ModeChange | None = None
    parents: bool = False
    exclude: Sequence[str] = ()
    now_ns: int = 0
    instruction: str = "COPY"
    context: bool = True


def copy(request: CopyRequest, source: Tree, destination: Tree) -> Layer:
    """Return the layer that copies `request.sources`, found in `source`, into `destination`.

    The same as `place` of what `select` finds.
    """
    selected = select(
        request.sources,
        source,
        instruction=request.instruction,
        context=request.context,
        parents=request.parents,
        exclude=request.exclude,
    )
    return place(request, selected, destination)


def place(request: CopyRequest, selected: Sequence[Selected], destination: Tree) -> Layer:
    """Return the layer that puts `selected` into `destination`; `request.sources` is not looked at.

    For ADD, whoever calls sets `Selected.archive` for each file that holds one. Links in `target` are followed inside
    `destination`; links below it are not, and a copy never turns a directory into something else or the reverse (the
    members of an archive do). Every node in the layer is a new one; hard links within one Selected stay. Raises
    `InvalidInput` with the engine's texts.
    """
    target = request.target if request.target.startswith("/") else f"{request.workdir}/{request.target}"
    inside = target.endswith("/") or (len(selected) > 1 and target.endswith(("/.", "/..")))
    if len(selected) > 1 and not inside:
        raise InvalidInput(
            f"When using {request.instruction} with more than one source file, "
            "the destination must be a directory and end with a /"
        )
    try:
        base = resolve(destination, clean(target))
    except InvalidInput as error:
        raise InvalidInput(f"failed to copy files: {error}") from error
    draft = Draft(destination)
    made = Directory(mode=0o755, uid=request.uid or 0, gid=request.gid or 0, mtime_ns=request.now_ns)
    for one in selected:
        if one.archive is not None:
            _check_directory(draft, base)
            draft.open(base, made)
            _unpack(one.archive, base, draft, request.now_ns)
        elif isinstance(one.node, Directory):
            _check_directory(draft, base)
            _copy_directory(request, one.node, draft.open(base, made), base)
        else:
            parent, _, name = base.rpartition("/")
            if inside or isinstance(draft.find(base), DraftDirectory | Directory):
                parent, name = base, one.name
                if "/" in name or name in {"", ".", ".."}:
                    raise InvalidInput(f"failed to copy files: cannot call a file {name!r}")
            _check_directory(draft, parent)
            _put(draft.open(parent, made), parent, name, _Copies(request).of(one.node))
    return draft.finish()


def workdir_layer(tree: Tree, path: str, uid: int, gid: int, mtime_ns: int) -> Layer:
    """Return the layer that makes the directory `path` and its missing parents, 0755; empty if it is there.

    Links in `path` are followed inside `tree`. Raises `InvalidInput` if something on the way is no directory.
    """
    real = resolve(tree, clean(path))
    if isinstance(find(tree, real), Directory):
        return Layer(())
    if _obstacle(Draft(tree), real):
        raise InvalidInput(f"Cannot mkdir: /{clean(path)} is not a directory")
    draft = Draft(tree)
    draft.open(real, Directory(mode=0o755, uid=uid, gid=gid, mtime_ns=mtime_ns))
    return draft.finish()


def _obstacle(draft: Draft, path: str) -> str:
    """Return the path of what stops `path` from being a directory, or nothing."""
    so_far = ""
    for name in path.split("/") if path else ():
        so_far = f"{so_far}/{name}" if so_far else name
        there = draft.find(so_far)
        if there is None:
            break
        if not isinstance(there, DraftDirectory | Directory):
            return so_far
    return ""


def _check_directory(draft: Draft, path: str) -> None:
    obstacle = _obstacle(draft, path)
    if obstacle:
        raise InvalidInput(f"failed to copy files: /{obstacle}: not a directory")


class _Copies:
    """New nodes for old ones: one new node for each old one, so that hard links stay."""

    def __init__(self, request: CopyRequest) -> None:
        self._uid = 0 if request.uid is None and request.context else request.uid
        self._gid = 0 if request.gid is None and request.context else request.gid
        self._mode = request.mode
        self._made: dict[int, Node] = {}

    def of(self, node: Node) -> Node:
        """Return the copy of `node`; a directory's has no children."""
        made = self._made.get(id(node))
        if made is not None:
            return made
        uid = node.uid if self._uid is None else self._uid
        gid = node.gid if self._gid is None else self._gid
        mode = self._changed(node)
        copied = _rebuilt(node, mode, uid, gid)
        if not isinstance(node, Directory):
            self._made[id(node)] = copied
        return copied

    def _changed(self, node: Node) -> int:
        if isinstance(self._mode, ModeChange):
            return self._mode.apply(node.mode, directory=isinstance(node, Directory))
        return node.mode if self._mode is None else self._mode


def _rebuilt(node: Node, mode: int, uid: int, gid: int) -> Node:
    time, xattrs = node.mtime_ns, node.xattrs
    if isinstance(node, File):
        return File(mode=mode, uid=uid, gid=gid, mtime_ns=time, xattrs=xattrs, content=node.content)
    if isinstance(node, Directory):
        return Directory(mode=mode, uid=uid, gid=gid, mtime_ns=time, xattrs=xattrs)
    if isinstance(node, Symlink):
        # Linux knows no other mode for a link, whatever a tar says.
        return Symlink(mode=0o777, uid=uid, gid=gid, mtime_ns=time, xattrs=xattrs, target=node.target)
    return replace(node, mode=mode, uid=uid, gid=gid)


def _copy_directory(request: CopyRequest, source: Directory, target: DraftDirectory, path: str) -> None:
    copies = _Copies(request)
    stack = [(source, target, path)]
    while stack:
        directory, here, parent = stack.pop()
        for name, node in directory.children.items():
            copied = copies.of(node)
            if isinstance(node, Directory) and isinstance(copied, Directory):
                _check_name(name)
                there = here.child(name)
                if not (there is None or isinstance(there, DraftDirectory | Directory)):
                    raise InvalidInput(f"failed to copy files: cannot copy to non-directory: {_shown(parent, name)}")
                stack.append((node, here.open(name, copied, copied), f"{parent}/{name}"))
            else:
                _put(here, parent, name, copied)


def _put(here: DraftDirectory, parent: str, name: str, node: Node) -> None:
    _check_name(name)
    if isinstance(here.child(name), DraftDirectory | Directory):
        raise InvalidInput(f"failed to copy files: cannot replace to directory {_shown(parent, name)} with file")
    here.children[name] = node


def _shown(parent: str, name: str) -> str:
    """Return a path as a person writes it."""
    return f"/{parent}/{name}".replace("//", "/")


def _check_name(name: str) -> None:
    """Refuse what a layer would take for a removal.

    https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
    """
    if name.startswith(".wh."):
        raise InvalidInput(f"failed to copy files: {name}: an image cannot hold a name that begins with .wh.")


def _unpack(archive: Layer, base: str, draft: Draft, now_ns: int) -> None:
    """Put the members of `archive` below `base`, with the owners and modes they have.

    A member's parent that is no member itself may be there already, behind links even (`lib/x` where `lib` leads to
    `usr/lib`), and is left as it is. Links lead nowhere outside `base`. Members replace whatever is in their place.
    """
    made = Directory(mode=0o755, mtime_ns=now_ns)
    rebuilt: dict[int, Node] = {}
    opened: dict[str, DraftDirectory] = {}
    for change in archive.changes:
        parent, _, name = change.path.rpartition("/")
        _check_name(name if isinstance(change, Put) else ".wh.")
        if not isinstance(change, Put) or not change.path:
            continue
        node = rebuilt.get(id(change.node))
        if node is None:
            old = change.node
            node = rebuilt[id(old)] = _rebuilt(old, old.mode, old.uid, old.gid)
        here = opened.get(parent)
        if here is None:
            real = draft.resolve(parent, base)
            here = draft.open(f"{base}/{real}".strip("/"), made)
            if real == parent:
                opened[parent] = here
            else:
                opened.clear()  # a member that comes by a link may replace anything
        if isinstance(node, Directory):
            here.open(name, node, node)
        else:
            here.children[name] = node
