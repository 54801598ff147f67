"""COPY and ADD: what they take, and the layer that comes of it."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from imagewright.archive import Readable, Spool, decompress, is_archive, open_content, read_content, read_layer
from imagewright.cancellation import Cancellation
from imagewright.errors import InvalidInput
from imagewright.filesystem import (
    EMPTY,
    Accounts,
    Content,
    CopyRequest,
    Directory,
    Extent,
    File,
    Layer,
    Selected,
    Tree,
    digest_selection,
    find,
    place,
    select,
)
from imagewright.oci import Digest
from imagewright.plan import AddFiles, CopyFiles, Document

__all__ = ["Selection", "read_accounts", "select_files"]

_ACCOUNTS_LIMIT = 1 << 20


class Selection:
    """What one COPY or ADD takes over, and from it the digest for the cache key and the layer."""

    def __init__(self, op: CopyFiles | AddFiles, selected: Sequence[Selected], *, context: bool) -> None:
        self._op = op
        self._selected = selected
        self._context = context

    @cached_property
    def digest(self) -> Digest:
        """The digest of all that the layer takes from the sources."""
        # What comes from the context, archives aside, belongs to root or to whom `--chown` says, whoever had it before.
        return digest_selection(self._selected, owners=not self._context or isinstance(self._op, AddFiles))

    @cached_property
    def label(self) -> str:
        """What the history calls the sources: `file:`, `dir:` or `multi:` and hexadecimal digits."""
        kind = "multi"
        if len(self._selected) == 1:
            kind = "dir" if isinstance(self._selected[0].node, Directory) else "file"
        return f"{kind}:{self.digest.encoded}"

    def layer(self, destination: Tree, *, directory: str, now_ns: int, cancellation: Cancellation) -> Layer:
        """Return the layer that puts the selection into `destination`; archives to ADD are read into `directory`.

        Raises `InvalidInput` with the engine's texts, and `Cancelled` between two pieces of an archive.
        """
        op = self._op
        selected = self._selected
        if isinstance(op, AddFiles) and op.unpack:
            selected = [
                _opened(item, os.path.join(directory, f"{n}.tar"), cancellation) for n, item in enumerate(selected)
            ]
        uid, gid = read_accounts(destination).resolve_owner(op.chown) if op.chown else (None, None)
        request = CopyRequest(
            sources=op.sources,
            target=op.destination,
            workdir=op.workdir,
            uid=uid,
            gid=gid,
            mode=op.chmod,
            now_ns=now_ns,
            instruction="ADD" if isinstance(op, AddFiles) else "COPY",
            context=self._context,
        )
        return place(request, selected, destination)


def select_files(
    op: CopyFiles | AddFiles, source: Tree | None, *, context: bool, directory: str, now_ns: int
) -> Selection:
    """Return what `op` takes from `source` and from its own here-documents, which are written into `directory`.

    `source` is None where there is no build context.

    Raises `InvalidInput` with the engine's texts.
    """
    instruction = "ADD" if isinstance(op, AddFiles) else "COPY"
    if op.sources and source is None:
        raise InvalidInput(f"{instruction} failed: missing build context")
    # With here-documents alone there is nothing to look for.
    source = source or EMPTY
    selected = (
        select(
            op.sources,
            source,
            instruction=instruction,
            context=context,
            parents=isinstance(op, CopyFiles) and op.parents,
            exclude=op.exclude,
        )
        if op.sources
        else []
    )
    documents = [
        _written(document, os.path.join(directory, f"document-{n}"), now_ns) for n, document in enumerate(op.documents)
    ]
    return Selection(op, [*selected, *documents], context=context)


def read_accounts(tree: Tree) -> Accounts:
    """Return the users and groups that `tree` names; only regular files are looked at, and no link is followed."""

    def read(path: str) -> bytes:
        node = find(tree, path)
        return read_content(node.content, _ACCOUNTS_LIMIT) if isinstance(node, File) else b""

    return Accounts.parse(read("etc/passwd"), read("etc/group"))


def _written(document: Document, path: str, now_ns: int) -> Selected:
    data = document.content.encode("utf-8", "surrogateescape")
    with open(path, "xb") as file:
        file.write(data)
    content = Content(Digest(hashlib.sha256(data).hexdigest()), len(data), Extent(path))
    return Selected(document.name, document.name, File(mode=0o644, mtime_ns=now_ns, content=content))


def _opened(selected: Selected, path: str, cancellation: Cancellation) -> Selected:
    """Return `selected` with the members of the archive that its bytes are, if they are one."""
    if not isinstance(selected.node, File):
        return selected
    with open_content(selected.node.content) as file:
        if not is_archive(file):
            return selected
        file.seek(0)
        with Spool(path) as spool:
            stream = _Cancellable(decompress(file), cancellation)
            return replace(selected, archive=read_layer(stream, spool)[0])


class _Cancellable:
    """A stream whose `read` raises `Cancelled` when it is not wanted any more."""

    def __init__(self, stream: Readable, cancellation: Cancellation) -> None:
        self._stream = stream
        self._cancellation = cancellation

    def read(self, n: int, /) -> bytes:
        """Return what the stream gives, at most `n` bytes."""
        self._cancellation.check()
        return self._stream.read(n)
