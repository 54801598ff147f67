"""How much of a stranger's archive is too much."""

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What reading an archive may cost; whatever exceeds it is `InvalidInput`.

    `unpacked`: bytes of the uncompressed archive, and of holes of sparse members. `nodes`: members, and the
    directories that their names imply. `path` and `component`: bytes of a name, and between two slashes of it.
    `header`: bytes of one extension header (PAX records, a GNU long name, a sparse map); `headers`: of all of them.
    `ratio`: uncompressed bytes for one compressed, looked at once `ratio_after` bytes have come out.
    """

    unpacked: int = 16 << 30
    nodes: int = 1_000_000
    path: int = 4096
    component: int = 255
    header: int = 1 << 20
    headers: int = 256 << 20
    ratio: int = 2000
    ratio_after: int = 64 << 20


DEFAULT_LIMITS = Limits()
