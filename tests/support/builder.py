"""Build contexts as tar bytes."""

import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Member", "archive", "context"]


@dataclass(frozen=True)
class Member:
    """One member of a tar; a directory, link or device is told by `type`, one of tarfile's constants."""

    data: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: float = 1_500_000_000
    type: bytes = tarfile.REGTYPE
    target: str = ""
    device: tuple[int, int] = (0, 0)
    pax_headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def directory(cls, mode: int = 0o755, uid: int = 0, gid: int = 0) -> "Member":
        """Return a directory."""
        return cls(mode=mode, uid=uid, gid=gid, type=tarfile.DIRTYPE)

    @classmethod
    def symlink(cls, target: str) -> "Member":
        """Return a symbolic link."""
        return cls(mode=0o777, type=tarfile.SYMTYPE, target=target)

    @classmethod
    def hard_link(cls, target: str, mode: int = 0o644) -> "Member":
        """Return a hard link to an earlier member, whose mode it sets again."""
        return cls(mode=mode, type=tarfile.LNKTYPE, target=target)


Content = bytes | str | Member


def archive(
    members: Mapping[str, Content] | Iterable[tuple[str, Content]], *, format_: int = tarfile.PAX_FORMAT
) -> bytes:
    """Return the tar of `members` in their order; bytes and text stand for regular files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_) as tar:
        for name, content in members.items() if isinstance(members, Mapping) else members:
            member = content if isinstance(content, Member) else Member(_encode(content))
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid, info.mtime = member.mode, member.uid, member.gid, member.mtime
            info.type, info.linkname, info.size = member.type, member.target, len(member.data)
            info.devmajor, info.devminor = member.device
            info.pax_headers = dict(member.pax_headers)
            tar.addfile(info, io.BytesIO(member.data))
    return out.getvalue()


def context(dockerfile: str, files: Mapping[str, Content] | None = None) -> bytes:
    """Return the tar of a build context: `files` and a Dockerfile."""
    return archive({**(files or {}), "Dockerfile": dockerfile})


def _encode(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content
