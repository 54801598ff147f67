"""Archives that are nearly right: `python -m fuzz.tar N [SEED]` reads N of them.

Each is made of good and bad members, then damaged, perhaps compressed and cut. Reading it must give a tree and a layer
that hold what they promise, or `InvalidInput`; nothing else, and soon.
"""

import bz2
import gzip
import io
import lzma
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

from backports import zstd

from imagewright.archive import Limits, Spool, decompress, read_content, read_layer, read_tree, write_layer
from imagewright.errors import InvalidInput
from imagewright.filesystem.tree import File, walk
from imagewright.oci import Digest
from unit.archive.raw_tar import END, Stream, header, member, padded, pax

__all__ = ["main", "make", "run"]

_LIMITS = Limits(unpacked=32 << 20, nodes=5000)
_SECONDS = 5.0

_NAMES = (
    *(
        b"a",
        b"b",
        b"d",
        b"d/a",
        b"d/b/c",
        b"./a",
        b"/d/",
        b"../a",
        b"a/../../b",
        b"",
        b"/",
        b"..",
        b".wh.a",
        b"d/.wh.b",
    ),
    *(b"d/.wh..wh..opq", b".wh.", b".wh..wh.plnk/1.2", b"x" * 100, b"x/" * 50, b"a\nb", b"\xff\xfe", b"s/a", b"s/s/t"),
)
_KINDS = (b"0", b"0", b"0", b"\0", b"7", b"1", b"2", b"3", b"4", b"5", b"5", b"6", b"g", b"x", b"L", b"K", b"S", b"V")
_NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"99999999999",
    b"9" * 30,
    b"9" * 5000,
    b"1.5",
    b"",
    b"x",
    b"0x10",
    b"\x80\0\0\1",
    b"\xff" * 12,
)
_KEYWORDS = (
    *(b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime", b"SCHILY.xattr.user.x", b"SCHILY.xattr.trusted.y"),
    *(b"GNU.sparse.map", b"GNU.sparse.size", b"GNU.sparse.realsize", b"GNU.sparse.major", b"GNU.sparse.minor"),
    *(b"GNU.sparse.offset", b"GNU.sparse.numbytes", b"GNU.sparse.name", b"hdrcharset", b"comment"),
)
_MAPS = (b"0,5", b"1,2,3,4", b"0,0,9,0", b"5", b"9,9,0,1", b"0,99999999")
_COMPRESSIONS: tuple[Callable[[bytes], bytes], ...] = (
    bytes,
    bytes,
    bytes,
    gzip.compress,
    bz2.compress,
    lzma.compress,
    zstd.compress,
)


def make(random_: random.Random) -> bytes:
    """Return the bytes of an archive that is more or less one."""
    data = b"".join(_member(random_) for _ in range(random_.randrange(8)))
    if random_.random() < 0.8:
        data += END
    for _ in range(random_.choice([0, 0, 1, 1, 3])):
        data = _damage(random_, data)
    data = random_.choice(_COMPRESSIONS)(data)
    if random_.random() < 0.1:
        data = _damage(random_, data)
    return data


def _member(random_: random.Random) -> bytes:
    choice = random_.random()
    if choice < 0.15:
        values = (*_NAMES, *_NUMBERS, *_MAPS)
        records = [(random_.choice(_KEYWORDS), random_.choice(values)) for _ in range(random_.randrange(1, 5))]
        return pax(records, random_.choice([b"x", b"x", b"g"]))
    if choice < 0.2:
        return member(
            b"long", random_.choice(_NAMES) * random_.choice([1, 50, 3000]) + b"\0", kind=random_.choice([b"L", b"K"])
        )
    if choice < 0.25:
        entries = b"".join(b"%011o\0%011o\0" % (random_.randrange(2000), random_.randrange(600)) for _ in range(4))
        size = random_.randrange(3000)
        fields = {
            "sparse": entries,
            "realsize": b"%011o\0" % random_.randrange(9000),
            "continued": random_.choice([b"\0", b"\1"]),
        }
        return header(random_.choice(_NAMES), size=size, kind=b"S", **fields) + padded(random_.randbytes(size))
    content = random_.randbytes(random_.choice([0, 1, 511, 512, 513, 5000]))
    kind = random_.choice(_KINDS)
    fields = {}
    if random_.random() < 0.2:
        field = random_.choice(["mode", "uid", "gid", "mtime", "major", "minor", "magic", "prefix"])
        fields[field] = random_.choice(_NUMBERS)[:8]
    name, link = random_.choice(_NAMES), random_.choice(_NAMES)
    return member(name, content if kind in b"\x0007xgLK" else b"", kind=kind, link=link, **fields)


def _damage(random_: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    at = random_.randrange(len(data))
    block = at - at % 512
    match random_.randrange(6):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + bytes([data[at] ^ (1 << random_.randrange(8))]) + data[at + 1 :]
        case 2:
            return data[:block] + data[block + 512 :]
        case 3:
            return data[:block] + data[block : block + 512] * random_.randrange(2, 20) + data[block + 512 :]
        case 4:
            return data[:at] + random_.randbytes(random_.randrange(1, 40)) + data[at:]
        case _:  # a header whose checksum is right and another field is not
            damaged = bytearray(data[block : block + 512].ljust(512, b"\0"))
            damaged[random_.randrange(345)] = random_.choice(b"\0 /.017\x80\xff")
            damaged[148:156] = b" " * 8
            damaged[148:156] = b"%06o\0 " % sum(damaged)
            return data[:block] + bytes(damaged) + data[block + 512 :]


def run(data: bytes, directory: str, step: int) -> bool:
    """Read `data` as a context and as a layer; return whether it was one; raise for anything that must not be."""
    accepted = False
    try:
        with Spool(f"{directory}/tree") as spool:
            tree = read_tree(decompress(Stream(data, step), limits=_LIMITS), spool, limits=_LIMITS)
        accepted = True
        for path, node in walk(tree):
            assert not {"", ".", ".."} & set(path.split("/")), path
            if isinstance(node, File):
                assert Digest.of(read_content(node.content, 64 << 20)) == node.content.digest
    except InvalidInput:
        pass
    try:
        with Spool(f"{directory}/layer") as spool:
            layer, _ = read_layer(decompress(Stream(data, step), limits=_LIMITS), spool, limits=_LIMITS)
    except InvalidInput:
        return accepted
    out = io.BytesIO()
    diff_id = write_layer(layer, out)
    with Spool(f"{directory}/again") as spool:
        assert read_layer(Stream(out.getvalue(), step), spool) == (layer, diff_id)
    return True


def main(arguments: Sequence[str]) -> int:
    """Read as many archives as the first argument says, from the seed that the second does."""
    count = int(arguments[0]) if arguments else 1000
    seed = int(arguments[1]) if len(arguments) > 1 else random.SystemRandom().randrange(1 << 32)
    accepted = 0
    for number in range(count):
        random_ = random.Random(seed + number)  # noqa: S311 - a seed is to be told
        data = make(random_)
        began = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as directory:
                accepted += run(data, directory, random_.choice([1 << 20, 1 << 20, 512, 100]))
            assert time.monotonic() - began < _SECONDS, "too slow"
        except BaseException:
            sys.stderr.write(f"fuzz.tar: python -m fuzz.tar 1 {seed + number}\n")
            raise
    sys.stdout.write(f"fuzz.tar: {count} archives from seed {seed}, {accepted} of them good\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
