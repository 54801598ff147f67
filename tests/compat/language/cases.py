"""The Dockerfiles that both engines build, and the context that they build them with: data, in a file per subject."""

import bz2
import gzip
import lzma
import os
import tarfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from backports import zstd

from support.builder import Member, archive

__all__ = ["SUBJECTS", "Case", "body", "read_cases"]

_DIRECTORY = os.path.dirname(__file__)
SUBJECTS = tuple(sorted(name.removesuffix(".toml") for name in os.listdir(os.path.join(_DIRECTORY, "cases"))))
_TYPES = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "p": tarfile.FIFOTYPE}
_REFEREES = ("buildkit", "classic", "reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One Dockerfile; `query` are further parameters of the request.

    `like` says whose result counts: that of the engine's BuildKit or of its classic builder, or, where neither has the
    feature, the language reference's, which stands in `files` (by path, in the form of `Snapshot`; "" for what must not
    be there) and `config`. With `error` the build fails, ours with this text in its message.
    """

    name: str
    dockerfile: str
    like: str = "buildkit"
    query: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


def read_cases(subject: str) -> list[Case]:
    """Return the cases of a subject; what its file has under `defaults` holds for each that does not say otherwise.

    A Dockerfile without a FROM is a stage on the base.
    """
    with open(os.path.join(_DIRECTORY, "cases", f"{subject}.toml"), "rb") as file:
        document = tomllib.load(file)
    defaults = document.get("defaults", {})
    cases = [Case(**{**defaults, **entry}) for entry in document["case"]]
    assert all(case.like in _REFEREES for case in cases)
    assert all(case.like != "reference" or case.error or case.files or case.config for case in cases)
    return cases


def body(dockerfile: str) -> bytes:
    """Return the tar of the context with `dockerfile` in it."""
    return archive([*_members(), ("Dockerfile", Member(dockerfile.encode()))])


def _members() -> list[tuple[str, Member]]:
    if not _CONTEXT:
        with open(os.path.join(_DIRECTORY, "context.txt"), encoding="utf-8") as file:
            _CONTEXT.extend(_member(line.rstrip("\n")) for line in file if not line.startswith("# "))
        _CONTEXT.extend((f"pack{suffix}", Member(pack(_packed()))) for suffix, pack in _PACKERS.items())
        _CONTEXT.append(("one.gz", Member(gzip.compress(b"no archive\n", mtime=0))))
        _CONTEXT.append(("named.tar", Member(b"no archive, whatever its name\n")))
    return _CONTEXT


_CONTEXT: list[tuple[str, Member]] = []


def _member(line: str) -> tuple[str, Member]:
    kind, mode, owner, rest = line.split(" ", 3)
    uid, gid = map(int, owner.split(":"))
    for separator in (" = ", " -> "):
        path, found, text = rest.partition(separator)
        if found:
            break
    data, target = (b"", text) if separator == " -> " else (unquote(text).encode(), "")
    return path, Member(data, mode=int(mode, 8), uid=uid, gid=gid, type=_TYPES[kind], target=target)


def _packed() -> bytes:
    return archive(
        {
            "p": Member.directory(0o750, 7, 8),
            "p/file": Member(b"packed", mode=0o640, uid=7, gid=8),
            "p/setuid": Member(b"su", mode=0o4755),
            "p/link": Member.symlink("file"),
            "p/again": replace(Member.hard_link("p/file", 0o640), uid=7, gid=8),
            "p/xattr": Member(b"x", pax_headers={"SCHILY.xattr.user.colour": "blue"}),
            "top": Member(b"top"),
        }
    )


def _identity(data: bytes) -> bytes:
    return data


_PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    ".tar": _identity,
    ".tar.gz": lambda data: gzip.compress(data, mtime=0),
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": zstd.compress,
    ".gz.txt": lambda data: gzip.compress(data, mtime=0),
}
