"""COPY and ADD: what they take, and the layer that comes of it."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

from imagewright.archive import Readable, Spool, decompress, is_archive, open_content, read_content, read_layer
from imagewright.build.downloading import FetchedFile, public_address
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
from imagewright.plan import AddFiles, CopyFiles, Document, Remote

__all__ = ["Selection", "read_accounts", "select_files"]

_ACCOUNTS_LIMIT = 1 << 20


# For a file without a name, while none is needed.
_UNNAMED = "__unnamed__"


@dataclass(frozen=True, slots=True)
class _Source:
    """One thing to take over; with `unpack` its members instead, if it is an archive."""

    selected: Selected
    unpack: bool = False


class Selection:
    """What one COPY or ADD takes over, and from it the digest for the cache key and the layer."""

    def __init__(self, op: CopyFiles | AddFiles, sources: Sequence[_Source], *, context: bool) -> None:
        self._op = op
        self._sources = sources
        self._selected = [source.selected for source in sources]
        self._context = context

    @cached_property
    def digest(self) -> Digest:
        """The digest of all that the layer takes from the sources."""
        # What comes from the context, archives aside, belongs to root or to whom `--chown` says, whoever had it before.
        return digest_selection(self._selected, owners=not self._context or isinstance(self._op, AddFiles))

    @cached_property
    def label(self) -> str:
        """What the history calls the sources: `file:`, `dir:` or `multi:` and hexadecimal digits.

        Of a file from elsewhere there are only the digits, as with the engine.
        """
        kind = "multi:"
        if len(self._selected) == 1:
            kind = "dir:" if isinstance(self._selected[0].node, Directory) else "file:"
            if kind == "file:" and any(isinstance(source, Remote) for source in self._op.sources):
                kind = ""
        return f"{kind}{self.digest.encoded}"

    def layer(self, destination: Tree, *, directory: str, now_ns: int, cancellation: Cancellation) -> Layer:
        """Return the layer that puts the selection into `destination`; archives to ADD are read into `directory`.

        With `--link` nothing in `destination` counts.

        Raises `InvalidInput` with the engine's texts, and `Cancelled` between two pieces of an archive.
        """
        op = self._op
        selected = [
            _opened(source.selected, os.path.join(directory, f"{n}.tar"), cancellation)
            if source.unpack
            else source.selected
            for n, source in enumerate(self._sources)
        ]
        if op.link:
            destination = EMPTY
        uid, gid = _owner(op, destination) if op.chown else (None, None)
        request = CopyRequest(
            sources=(),
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
    op: CopyFiles | AddFiles,
    source: Tree | None,
    *,
    context: bool,
    directory: str,
    now_ns: int,
    fetch: Callable[[Remote], FetchedFile | Tree],
) -> Selection:
    """Return what `op` takes from `source`, from elsewhere, and from its own here-documents.

    `source` is None where there is no build context; `fetch` brings what is elsewhere. Documents are written into
    `directory`. Raises `InvalidInput` with the engine's texts, and what `fetch` raises.
    """
    sources: list[_Source] = []
    for remote, group in groupby(op.sources, key=lambda one: isinstance(one, Remote)):
        if remote:
            sources.extend(found for one in group if isinstance(one, Remote) for found in _fetched(op, one, fetch))
        else:
            sources.extend(_found(op, [str(name) for name in group], source, context=context))
    for n, document in enumerate(op.documents):
        sources.append(_Source(_written(document, os.path.join(directory, f"document-{n}"), now_ns)))
    return Selection(op, sources, context=context)


def _found(op: CopyFiles | AddFiles, names: Sequence[str], source: Tree | None, *, context: bool) -> Iterator[_Source]:
    instruction = "ADD" if isinstance(op, AddFiles) else "COPY"
    if source is None:
        raise InvalidInput(f"{instruction} failed: missing build context")
    selected = select(
        names,
        source,
        instruction=instruction,
        context=context,
        parents=isinstance(op, CopyFiles) and op.parents,
        exclude=op.exclude,
    )
    unpack = isinstance(op, AddFiles) and op.unpack is not False
    yield from (_Source(one, unpack) for one in selected)


def _fetched(
    op: CopyFiles | AddFiles, remote: Remote, fetch: Callable[[Remote], FetchedFile | Tree]
) -> Iterator[_Source]:
    """Yield what is at `remote`, but for what `op` excludes."""
    fetched = fetch(remote)
    if isinstance(fetched, Directory):
        yield from (_Source(one) for one in select([""], fetched, exclude=op.exclude))
        return
    if not fetched.name and op.destination.endswith("/"):
        raise InvalidInput(f"ADD failed: cannot determine filename for source {public_address(remote.address)}")
    unpack = isinstance(op, AddFiles) and op.unpack is True
    tree = Directory(mode=0o755, children={fetched.name or _UNNAMED: fetched.file})
    for one in select(["*"], tree, exclude=op.exclude):
        yield _Source(replace(one, name=fetched.name), unpack)


def read_accounts(tree: Tree) -> Accounts:
    """Return the users and groups that `tree` names; only regular files are looked at, and no link is followed."""

    def read(path: str) -> bytes:
        node = find(tree, path)
        return read_content(node.content, _ACCOUNTS_LIMIT) if isinstance(node, File) else b""

    return Accounts.parse(read("etc/passwd"), read("etc/group"))


def _owner(op: CopyFiles | AddFiles, destination: Tree) -> tuple[int, int]:
    try:
        return read_accounts(destination).resolve_owner(op.chown)
    except InvalidInput as error:
        if not op.link:
            raise
        # https://docs.docker.com/reference/dockerfile/#copy---chown
        raise InvalidInput(f"{error}; with --link only numbers are known") from error


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
