"""Forms in which a context comes: compressed, cut, or no archive at all."""

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Mapping

from backports import zstd

from support.builder import Member, archive

__all__ = ["BODIES"]

_DOCKERFILE = "FROM base:1\nCOPY . /all/\n"


def _format(format_: int) -> Callable[[bytes], bytes]:
    def rewrite(body: bytes) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            members = [(info.name, Member(_data(tar, info), mode=info.mode)) for info in tar]
        return archive(members, format_=format_)

    return rewrite


def _renamed(rename: Callable[[str], str]) -> Callable[[bytes], bytes]:
    def rewrite(body: bytes) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            members = [(rename(info.name), Member(_data(tar, info), mode=info.mode)) for info in tar]
        return archive(members)

    return rewrite


def _data(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(info)
    return file.read() if file else b""


def _without_end(body: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        last = tar.getmembers()[-1]
    return body[: last.offset_data + (last.size + 511) // 512 * 512]


def _cut_in_padding(body: bytes) -> bytes:
    """Cut where docker's own client ends a context with a Dockerfile from elsewhere: behind the last file's bytes."""
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        last = tar.getmembers()[-1]
    return body[: last.offset_data + last.size]


def _twice(body: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        members = [(info.name, Member(_data(tar, info))) for info in tar]
    return archive([("Dockerfile", "FROM base:1\nLABEL first=yes\n"), *members])


def _empty(_: bytes) -> bytes:
    return b""


BODIES: Mapping[str, Callable[[bytes], bytes]] = {
    "tar": lambda body: body,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
    "lzma": lambda body: lzma.compress(body, format=lzma.FORMAT_ALONE),
    "zlib": zlib.compress,
    "gzip twice": lambda body: gzip.compress(gzip.compress(body)),
    "gzip members": lambda body: gzip.compress(body[:1000]) + gzip.compress(body[1000:]),
    "cut gzip": lambda body: gzip.compress(body)[:60],
    "gzip cut behind the last file": lambda body: gzip.compress(body)[:-20],
    "cut xz": lambda body: lzma.compress(body)[:60],
    "ustar": _format(tarfile.USTAR_FORMAT),
    "gnu": _format(tarfile.GNU_FORMAT),
    "dot slash": _renamed(lambda name: f"./{name}"),
    "absolute": _renamed(lambda name: f"/{name}"),
    "without end": _without_end,
    "cut in padding": _cut_in_padding,
    "cut in file": lambda body: _cut_in_padding(body)[:-3],
    "cut in header": lambda body: body[:300],
    "two Dockerfiles": _twice,
    "nothing": _empty,
    "empty tar": lambda _: archive({}),
    "zeros": lambda _: bytes(512),
    "short garbage": lambda _: b"no archive",
    "long garbage": lambda _: b"no archive\n" * 100,
    "no Dockerfile": lambda _: archive({"x": "x"}),
    "parent member": lambda _: archive({"../evil": "evil", "Dockerfile": _DOCKERFILE}),
    "only lower case": lambda _: archive({"dockerfile": "FROM base:1\nLABEL lower=case\n"}),
    "both cases": lambda _: archive({"dockerfile": "FROM base:1\nLABEL lower=case\n", "Dockerfile": "FROM base:1\n"}),
    "a directory called Dockerfile": lambda _: archive({"Dockerfile": Member.directory()}),
    "a Dockerfile that points outside": lambda _: archive({"Dockerfile": Member.symlink("../../etc/passwd")}),
    "a Dockerfile that points inside": lambda _: archive(
        [("real", "FROM base:1\nLABEL real=yes\n"), ("Dockerfile", Member.symlink("real"))]
    ),
    "a Dockerfile that points to itself": lambda _: archive({"Dockerfile": Member.symlink("Dockerfile")}),
    "a fifo and a device": lambda _: archive(
        [
            ("d/fifo", Member(type=tarfile.FIFOTYPE)),
            ("d/null", Member(type=tarfile.CHRTYPE, device=(1, 3))),
            ("Dockerfile", "FROM base:1\nLABEL special=files\n"),
        ]
    ),
    "latin name": lambda _: archive(
        [("caf\udce9", "latin"), ("Dockerfile", _DOCKERFILE)], format_=tarfile.USTAR_FORMAT
    ),
}
