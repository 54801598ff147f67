"""What the sources of a COPY or ADD name in a tree."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from imagewright.errors import InvalidInput
from imagewright.filesystem.ignore import IgnorePatterns
from imagewright.filesystem.layer import Layer
from imagewright.filesystem.links import clean, resolve
from imagewright.filesystem.patterns import compile_pattern, has_wildcards
from imagewright.filesystem.tree import Device, Directory, Fifo, File, Node, Symlink, Tree, find, in_order, walk
from imagewright.oci import Digest

__all__ = ["Selected", "digest_selection", "select"]


@dataclass(frozen=True, slots=True)
class Selected:
    """One thing to copy: `node`, found at `path` in the source, to be called `name` where a name is needed.

    A directory stands for its contents. With `archive` (ADD), the members of the archive that the bytes of `node` are
    come in its place: a Put for each member that the archive has, and none for parents that it lacks. Whoever has a
    file from elsewhere (a URL, a here-document) makes a Selected for it, with `path` as it likes.
    """

    path: str
    name: str
    node: Node
    archive: Layer | None = None


def select(
    sources: Sequence[str],
    source: Tree,
    *,
    instruction: str = "COPY",
    context: bool = True,
    parents: bool = False,
    exclude: Sequence[str] = (),
) -> list[Selected]:
    """Return what `sources` name in `source`, wildcards expanded, links followed inside `source`.

    `context` says that `source` is the build context, not another stage or image: the texts differ. With `parents` each
    source is one directory that holds what it names, with the directories above it up to the root or to the pivot
    `/./`. What `exclude` names, by the rules of `.dockerignore`, is left out: in a directory relative to it, of files
    relative to the directory they were looked for in. Raises `InvalidInput` with the engine's texts: a name that is not
    there, wildcards that match nothing at all, a malformed wildcard, a path out of the source.
    """
    selection = _Selection(source, instruction, context=context, exclude=_patterns(exclude))
    selected = [one for text in sources for one in selection.find(text, parents=parents)]
    if not selection.found:
        raise InvalidInput(f"{instruction} failed: no source files were specified")
    return selected


def _patterns(texts: Sequence[str]) -> IgnorePatterns:
    """Return the patterns of `--exclude`; the character that makes a line a comment means nothing there."""
    return IgnorePatterns.parse(f"\\{text}" if text.startswith("#") else text for text in texts)


class _Selection:
    """Finds the sources of one instruction; `found` tells whether there was anything, excluded or not."""

    def __init__(self, source: Tree, instruction: str, *, context: bool, exclude: IgnorePatterns) -> None:
        self.found = False
        self._source = source
        self._instruction = instruction
        self._context = context
        self._exclude = exclude

    def find(self, text: str, *, parents: bool) -> Iterator[Selected]:
        """Yield what the source `text` names."""
        name = text.lstrip("/")
        if _leaves(name):
            raise self._forbidden(name)
        if parents:
            yield from self._with_parents(text)
            return
        for path, shown in self._paths(name):
            one = self._at(path, shown)
            self.found = True
            above = _fixed_part(clean(name)) if has_wildcards(name) else path.rpartition("/")[0]
            if isinstance(one.node, Directory) and not has_wildcards(name):
                yield replace(one, node=self._exclude.prune(one.node))
            elif not self._exclude.ignored(path[len(above) :].lstrip("/")):
                yield replace(one, node=self._exclude.prune(one.node)) if isinstance(one.node, Directory) else one

    def _with_parents(self, text: str) -> Iterator[Selected]:
        before, pivot, after = text.partition("/./")
        wanted = clean(after if pivot else text)
        # A pattern that begins with `!` would be an exception.
        included = IgnorePatterns(("**", f"!\\{wanted}" if wanted.startswith("!") else f"!{wanted}"))
        for path, shown in self._paths(before.lstrip("/") if pivot else ""):
            one = self._at(path, shown)
            if not isinstance(one.node, Directory):
                raise self._missing(text.lstrip("/"))
            everything = one.node if not wanted else included.prune(one.node)
            if wanted and not everything.children:
                if not has_wildcards(wanted):
                    raise self._missing(text.lstrip("/"))
                continue
            self.found = True
            # First what is left out: an exception in `exclude` brings nothing in that is not wanted.
            remaining = self._exclude.prune(one.node)
            yield replace(one, name="", node=included.prune(remaining) if wanted else remaining)

    def _paths(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield the paths that `name` stands for, each with how messages call it."""
        if not has_wildcards(name):
            yield clean(name), name
            return
        expression = compile_pattern(clean(name))
        for path, _ in walk(self._source):
            if expression.fullmatch(path):
                yield path, path

    def _at(self, path: str, shown: str) -> Selected:
        try:
            real = resolve(self._source, path)
        except InvalidInput as error:
            raise self._forbidden(shown) from error
        node = find(self._source, real)
        if node is None:
            raise self._missing(shown)
        return Selected(real, path.rpartition("/")[2], node)

    def _forbidden(self, shown: str) -> InvalidInput:
        return InvalidInput(f"{self._instruction} failed: forbidden path outside the build context: {shown} ()")

    def _missing(self, shown: str) -> InvalidInput:
        where = "file not found in build context or excluded by .dockerignore: " if self._context else ""
        return InvalidInput(f"{self._instruction} failed: {where}stat {shown}: file does not exist")


def _fixed_part(pattern: str) -> str:
    """Return the leading components of `pattern` that hold no wildcard."""
    return "/".join(takewhile(lambda name: not has_wildcards(name), pattern.split("/")))


def _leaves(path: str) -> bool:
    depth = 0
    for name in path.split("/"):
        depth += -1 if name == ".." else name not in {"", "."}
        if depth < 0:
            return True
    return False


def digest_selection(selected: Iterable[Selected], *, owners: bool = True) -> Digest:
    """Return the digest of all that a copy takes over: names, kinds, modes, owners, link targets, xattrs and bytes.

    Times are left out, and so are places (`Selected.path`) and what a copied directory itself is like: only its
    contents are copied. Hard links count: linked files differ from equal ones. With `owners` false owners are left out
    too, for a copy that replaces them.
    """
    digest = hashlib.sha256(b"imagewright selection 1\n")
    for one in selected:
        # What is linked within one Selected is linked in the copy; across two it is not.
        lines = _Lines(owners=owners)
        if isinstance(one.node, Directory):
            digest.update(b"directory\n")
            for part in lines.below(one.node):
                digest.update(part)
        else:
            digest.update(b"archive\n" if one.archive is not None else b"file\n")
            digest.update(lines.one(one.name, one.node))
        digest.update(b"end\n")
    return Digest(digest.hexdigest())


class _Lines:
    """The unambiguous text of nodes: lengths go before whatever may hold anything."""

    def __init__(self, *, owners: bool) -> None:
        self._owners = owners
        self._seen: dict[int, int] = {}

    def below(self, directory: Directory) -> Iterator[bytes]:
        """Yield the text of everything in `directory`, a piece for each directory."""
        stack: list[tuple[str, Directory]] = [("", directory)]
        while stack:
            prefix, here = stack.pop()
            pieces = [b"in %d " % len(name := _encode(prefix)), name, b"\n"]
            for child in in_order(here.children):
                node = here.children[child]
                pieces.append(self.one(child, node))
                if isinstance(node, Directory):
                    stack.append((f"{prefix}{child}/", node))
            yield b"".join(pieces)

    def one(self, name: str, node: Node) -> bytes:
        """Return the text of one node, without what is in it."""
        if not isinstance(node, Directory):
            number = len(self._seen)
            first = self._seen.setdefault(id(node), number)
            if first != number:
                return b"link %d %d %b\n" % (first, len(encoded := _encode(name)), encoded)
        owner = f"{node.uid} {node.gid}" if self._owners else ""
        mode = 0o777 if isinstance(node, Symlink) else node.mode
        encoded = _encode(name)
        head = f"{_KINDS[type(node)]} {mode:o} {owner} {_value(node)} {len(encoded)} "
        text = _encode(head) + encoded
        for key in sorted(node.xattrs) if node.xattrs else ():
            value = node.xattrs[key]
            text += b" %d %b %d %b" % (len(encoded := _encode(key)), encoded, len(value), value)
        return text + b"\n"


_KINDS = {File: "file", Symlink: "symlink", Device: "device", Fifo: "fifo", Directory: "directory"}


def _value(node: Node) -> str:
    if isinstance(node, File):
        return node.content.digest.encoded
    if isinstance(node, Symlink):
        return f"{len(_encode(node.target))} {node.target}"
    if isinstance(node, Device):
        return f"{node.kind} {node.major} {node.minor}"
    return ""


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
