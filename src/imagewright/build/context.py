"""The build context: what the client sent, as a tree, and the Dockerfile in it."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from imagewright.archive import DEFAULT_LIMITS as ARCHIVE_LIMITS
from imagewright.archive import Limits, Readable, Spool, decompress, read_content, read_tree
from imagewright.build.known_contexts import KnownContext, KnownContexts
from imagewright.build.recognition import Recognition
from imagewright.dockerfile import LARGEST_DOCKERFILE
from imagewright.errors import InvalidInput
from imagewright.filesystem import File, IgnorePatterns, Layer, Tree, Whiteout, apply, find, resolve
from imagewright.remote import DEFAULT_LIMITS as FETCH_LIMITS
from imagewright.remote import FetchLimits

__all__ = [
    "DEFAULT_LIMITS",
    "Context",
    "ContextLimits",
    "check_dockerfile_size",
    "find_dockerfile",
    "read_archive",
    "read_context",
]

_IGNORE_LIMIT = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextLimits:
    """How much a context may be: as an archive, when it is fetched, and of its Dockerfile in bytes."""

    archive: Limits = ARCHIVE_LIMITS
    fetch: FetchLimits = FETCH_LIMITS
    dockerfile: int = LARGEST_DOCKERFILE


DEFAULT_LIMITS = ContextLimits()


class Context:
    """The files to copy from, and the Dockerfile: its bytes, and its name as messages have it.

    Thread-safe. `known` is what is remembered of the same files from one build to the next, None if nothing is to be.
    """

    def __init__(
        self,
        tree: Tree | Callable[[], Tree] | None,
        dockerfile: bytes,
        name: str,
        *,
        known: KnownContext | None = None,
    ) -> None:
        self._tree = tree
        self._lock = threading.Lock()
        self.dockerfile = dockerfile
        self.name = name
        self.known = known

    @property
    def tree(self) -> Tree | None:
        """The files; None where the client has named a Dockerfile alone, so that there is nothing to copy from.

        Those of a context that was recognised are read now, if they are asked for the first time.
        """
        with self._lock:
            if callable(self._tree):
                self._tree = self._tree()
            return self._tree


def read_context(
    stream: Readable,
    directory: str,
    dockerfile: str,
    *,
    limits: ContextLimits = DEFAULT_LIMITS,
    known: KnownContexts | None = None,
    recognise: bool = True,
) -> Context:
    """Read all of `stream`, a tar in any compression, into `directory`, and return what is in it.

    `dockerfile` is as the client named it. The tree's contents point into `directory`. With `recognise` a stream that
    is one of `known` is kept as it is until somebody needs its files; any other is remembered there. Raises
    `InvalidInput` with the engine's texts for what is no tar, and for a Dockerfile that is missing, no regular file, or
    too large.
    """
    if known is None:
        return find_dockerfile(read_archive(stream, directory, limits), dockerfile, limits)
    path = os.path.join(directory, "sent")
    with Recognition(stream, path, known.candidates(dockerfile) if recognise else []) as recognition:
        if recognition.known is not None:
            found = recognition.known
            known.add(found)
            read = partial(_read_again, path, directory, found.name, limits)
            return Context(read, found.dockerfile, found.name, known=found)
        context = find_dockerfile(read_archive(recognition, directory, limits), dockerfile, limits)
        blocks = recognition.blocks()
    if blocks is not None:
        context.known = known.add(KnownContext(blocks, dockerfile, context.dockerfile, context.name))
    return context


def _read_again(path: str, directory: str, dockerfile: str, limits: ContextLimits) -> Tree:
    """Return the files of a context that was kept at `path`, without those that are ignored."""
    with open(path, "rb") as file:
        return _without_ignored(read_archive(file, directory, limits), dockerfile)


def read_archive(stream: Readable, directory: str, limits: ContextLimits) -> Tree:
    """Read all of `stream` as `read_context` does, and return the files alone."""
    with Spool(os.path.join(directory, "context.tar"), keeping="the build context") as spool:
        return read_tree(decompress(stream, limits=limits.archive), spool, limits=limits.archive)


def find_dockerfile(tree: Tree, dockerfile: str, limits: ContextLimits) -> Context:
    """Return the context of the files `tree`, with the Dockerfile that the client named; raises as `read_context`."""
    path = _locate(tree, dockerfile)
    node = find(tree, resolve(tree, path))
    if not isinstance(node, File):
        raise InvalidInput(f"Cannot locate specified Dockerfile: {dockerfile or path}")
    check_dockerfile_size(node.content.size, path, limits)
    return Context(_without_ignored(tree, path), read_content(node.content, limits.dockerfile), path)


def check_dockerfile_size(size: int, name: str, limits: ContextLimits) -> None:
    """Raise `InvalidInput` if a Dockerfile of `size` bytes is too large."""
    if size > limits.dockerfile:
        raise InvalidInput(f"the Dockerfile ({name}) is larger than {_shown(limits.dockerfile)}")


def _shown(size: int) -> str:
    return f"{size >> 20} MiB" if size and not size % (1 << 20) else f"{size} bytes"


def _locate(tree: Tree, dockerfile: str) -> str:
    """Return the path of the Dockerfile, which need not be there."""
    if not dockerfile:
        lower = find(tree, "Dockerfile") is None and find(tree, "dockerfile") is not None
        return "dockerfile" if lower else "Dockerfile"
    parts: list[str] = []
    for part in dockerfile.split("/"):
        if part == "..":
            if not parts:
                raise InvalidInput(f"forbidden path outside the build context: {dockerfile} ()")
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def _without_ignored(tree: Tree, dockerfile: str) -> Tree:
    """Leave out the Dockerfile and `.dockerignore` where the latter says so: nothing else is filtered here.

    The client has filtered already; it sends these two because the engine reads them. A file of patterns that makes
    no sense is passed over, as the engine does.
    """
    node = find(tree, ".dockerignore")
    if not isinstance(node, File):
        return tree
    try:
        patterns = IgnorePatterns.read(read_content(node.content, _IGNORE_LIMIT))
    except InvalidInput:
        return tree
    hidden = sorted(path for path in {dockerfile, ".dockerignore"} if patterns.ignored(path))
    return apply(tree, Layer(tuple(Whiteout(path) for path in hidden))) if hidden else tree
