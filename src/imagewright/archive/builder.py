"""A tree or a layer while its archive is read: the only mutable state of a filesystem in the project.

Names are taken as an archive program in a root of its own would take them: absolute ones and `..` end at the root,
and a symbolic link of the archive that stands in the way of a name is followed, with that same root. What has no
place is refused: a member below a file, a hard link to nothing.
"""

from collections.abc import Iterator

from imagewright.archive.limits import Limits
from imagewright.errors import InvalidInput
from imagewright.filesystem.layer import Change, Layer, Opaque, Put, Whiteout
from imagewright.filesystem.tree import Directory, Node, Symlink, Tree

__all__ = ["Builder", "clean_names", "quote"]

_DEFAULT = Directory(mode=0o755)
_MOST_LINKS = 255
_MOST_STEPS = 10_000_000
# How many parents are remembered by name. Members come directory by directory, so few are enough.
_REMEMBERED = 4096


class _Growing:
    """A directory to which things are still added; `node` is None while only names below it speak of it."""

    __slots__ = ("children", "node", "opaque", "whiteouts")

    def __init__(self, node: Directory | None = None) -> None:
        self.node = node
        self.children: dict[str, Node | _Growing] = {}
        self.whiteouts: set[str] = set()
        self.opaque = False


class Builder:
    """Collects members; then gives them as a `Tree` or as the changes of a `Layer`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._root = _Growing()
        self._parents: dict[str, _Growing] = {}
        self._nodes = 0
        self._steps = 0  # taken through symbolic links
        # A character has at most four bytes, so that most names need not be encoded to be measured.
        self._surely_short = limits.path // 4
        self._surely_short_name = limits.component // 4

    def put(self, path: str, node: Node) -> None:
        """Have `node` at `path`; a directory over a directory keeps what is below, anything else replaces it.

        A root that is no directory is passed over, as the engine does.
        """
        parent, name = self._locate(path)
        if not name:
            if isinstance(node, Directory):
                parent.node = node
            return
        there = parent.children.get(name)
        if there is None:
            self._count()
        if isinstance(node, Directory):
            if isinstance(there, _Growing):
                there.node = node
                return
            parent.children[name] = _Growing(node)
        else:
            parent.children[name] = node
        if isinstance(there, _Growing | Symlink):
            self._parents.clear()  # some may lead through what was there

    def link(self, path: str, target: str, *, among: "Builder | None" = None) -> None:
        """Have at `path` what is at `target` (of `among`, if given), as a hard link.

        Raises `InvalidInput` if there is nothing yet, or a directory. A link to itself changes nothing.
        """
        self.put(path, (among or self)._file(path, target))  # noqa: SLF001 - another of the same class

    def _file(self, path: str, target: str) -> Node:
        directory, name = self._locate(target, make=False)
        node = directory.children.get(name) if name else directory
        if node is None:
            raise InvalidInput(f"link {quote(target)} {quote(path)}: no such file or directory")
        if isinstance(node, _Growing):
            raise InvalidInput(f"link {quote(target)} {quote(path)}: operation not permitted")
        return node

    def whiteout(self, path: str) -> None:
        """Say that what lower layers have at `path` is gone."""
        parent, name = self._locate(path)
        if name not in parent.whiteouts:
            self._count()
            parent.whiteouts.add(name)

    def opaque(self, path: str) -> None:
        """Say that what lower layers have below the directory `path` is gone."""
        self._walk(clean_names(path), make=True, path=path).opaque = True

    def tree(self) -> Tree:
        """Return what has been put; directories that only names spoke of are root's, 0755, of 1970."""
        done: list[tuple[_Growing, dict[str, Node]]] = []
        stack: list[tuple[_Growing, dict[str, Node]]] = [(self._root, {})]
        made: dict[int, Directory] = {}
        while stack:  # not by recursion: an archive may be deeper than Python's stack
            growing, children = stack.pop()
            done.append((growing, children))
            stack += [(child, {}) for child in growing.children.values() if isinstance(child, _Growing)]
        for growing, children in reversed(done):
            for name, child in growing.children.items():
                children[name] = made.pop(id(child)) if isinstance(child, _Growing) else child
            made[id(growing)] = _with_children(growing.node or _DEFAULT, children)
        return made[id(self._root)]

    def layer(self) -> Layer:
        """Return what has been put and removed, in canonical order; no change says what only names spoke of."""
        changes: list[Change] = []
        if self._root.node is not None:
            changes.append(Put("", self._root.node))
        if self._root.opaque:
            changes.append(Opaque(""))
        stack = [("", self._root, _names(self._root))]
        while stack:
            prefix, growing, names = stack[-1]
            for name in names:
                path = prefix + name
                if name in growing.whiteouts:
                    changes.append(Whiteout(path))
                child = growing.children.get(name)
                if isinstance(child, _Growing):
                    if child.node is not None:
                        changes.append(Put(path, child.node))
                    if child.opaque:
                        changes.append(Opaque(path))
                    stack.append((f"{path}/", child, _names(child)))
                    break
                if child is not None:
                    changes.append(Put(path, child))
            else:
                stack.pop()
        return Layer(tuple(changes))

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            raise InvalidInput(f"the archive has more than {self._limits.nodes} entries")

    def _locate(self, path: str, *, make: bool = True) -> tuple[_Growing, str]:
        """Return the directory that `path` is in and its name there; the root and "" if it is the root."""
        if len(path) > self._surely_short:
            self._check_path(path)
        head, _, name = path.rstrip("/").rpartition("/")
        if name in {"", ".", ".."}:
            names = clean_names(path)
            if not names:
                return self._root, ""
            head, name = "/".join(names[:-1]), names[-1]
        if len(name) > self._surely_short_name:
            self._check_name(name)
        parent = self._parents.get(head)
        if parent is None:
            parent = self._walk(clean_names(head), make=make, path=path)
            if len(self._parents) >= _REMEMBERED:
                self._parents.clear()
            self._parents[head] = parent
        return parent, name

    def _walk(self, names: list[str], *, make: bool, path: str) -> _Growing:
        """Return the directory that `names` lead to from the root, made on the way where it is missing.

        `names` hold no `..`; those of link targets are taken where the links lead, as the kernel does.
        """
        trail = [self._root]
        ahead = names[::-1]
        own = len(ahead)  # what lies above comes from link targets, and is never made
        links = 0
        while ahead:
            name = ahead.pop()
            named = len(ahead) < own
            own = min(own, len(ahead))
            if name == "..":
                del trail[max(1, len(trail) - 1) :]
                continue
            there = trail[-1].children.get(name)
            if there is None and make and named:
                if len(name) > self._surely_short_name:
                    self._check_name(name)
                self._count()
                there = trail[-1].children[name] = _Growing()
            if isinstance(there, _Growing):
                trail.append(there)
            elif isinstance(there, Symlink):
                links += 1
                ahead += self._follow(there, links, path)
                if there.target.startswith("/"):
                    trail = [self._root]
            else:
                problem = "no such file or directory" if there is None else "not a directory"
                raise InvalidInput(f"{quote(path)}: {problem}")
        return trail[-1]

    def _follow(self, link: Symlink, links: int, path: str) -> list[str]:
        """Return the names in a link's target, last first; raises `InvalidInput` where links go on for too long."""
        names = [name for name in reversed(link.target.split("/")) if name not in {"", "."}]
        self._steps += 1 + len(names)
        if links > _MOST_LINKS or self._steps > _MOST_STEPS:
            raise InvalidInput(f"{quote(path)}: too many levels of symbolic links")
        return names

    def _check_path(self, path: str) -> None:
        if len(_encode(path)) > self._limits.path:
            raise InvalidInput(f"{quote(path)}: file name too long")

    def _check_name(self, name: str) -> None:
        if len(_encode(name)) > self._limits.component:
            raise InvalidInput(f"{quote(name)}: file name too long")


def clean_names(path: str) -> list[str]:
    """Return the names in `path`, with `.` and `..` worked out as text; `..` stops at the root."""
    names: list[str] = []
    for name in path.split("/"):
        if name == "..":
            del names[-1:]
        elif name not in {"", "."}:
            names.append(name)
    return names


def _names(growing: _Growing) -> Iterator[str]:
    """Return an iterator over the names in a directory and of what is removed from it, in the order of their bytes."""
    return iter(sorted({*growing.children, *growing.whiteouts}, key=_encode))


def _with_children(node: Directory, children: dict[str, Node]) -> Directory:
    return Directory(
        mode=node.mode, uid=node.uid, gid=node.gid, mtime_ns=node.mtime_ns, xattrs=node.xattrs, children=children
    )


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def quote(path: str) -> str:
    """Return `path` for a message: short, on one line, and of characters that every stream takes."""
    shown = path if len(path) <= 100 else f"{path[:100]}..."
    return '"' + shown.encode("utf-8", "backslashreplace").decode("utf-8").replace("\n", "\\n") + '"'
