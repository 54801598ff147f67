"""Files that keep an archive as it streams by."""

from types import TracebackType

__all__ = ["Spool"]


class Spool:
    """A new file at `path` that receives an uncompressed tar, so that extents can point into it.

    Beside it, `sparse_path` is made if the tar has sparse members, and holds their content with real holes.
    Closing keeps both files: they belong to the caller, who may rename them (and then tells `encode_index`).
    Raises `SystemFailure` where the disk does not take the bytes, or something is at `path` already.
    """

    path: str
    sparse_path: str

    def __init__(self, path: str) -> None:
        raise NotImplementedError

    @property
    def size(self) -> int:
        """How many bytes of tar have been written."""
        raise NotImplementedError

    @property
    def sparse(self) -> bool:
        """Whether there is a file at `sparse_path`."""
        raise NotImplementedError

    def sync(self) -> None:
        """Return once both files are on the disk."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the files; idempotent."""
        raise NotImplementedError

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
