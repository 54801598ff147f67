from msgspec.structs import replace

from imagewright.build.cache import cache_key, layer_content
from imagewright.filesystem import (
    Change,
    Content,
    Device,
    Directory,
    Extent,
    File,
    Layer,
    Opaque,
    Put,
    Symlink,
    Whiteout,
)
from imagewright.oci import Digest

_CONTENT = Content(Digest.of(b"x"), 1, Extent("anywhere"))
_FILE = File(mode=0o644, content=_CONTENT, xattrs={"user.a": b"1"})


def test_key_depends_on_names_and_values_alone() -> None:
    assert cache_key({"a": "1", "b": "2"}) == cache_key({"b": "2", "a": "1"})
    assert cache_key({"a": "1", "b": "2"}) != cache_key({"a": "2", "b": "1"})


def test_key_tells_bytes_that_are_no_text_from_text_that_looks_alike() -> None:
    assert cache_key({"a": "\udcff"}) != cache_key({"a": "\\xff"})
    assert cache_key({"a": "\udcff"}) != cache_key({"a": "ÿ"})


def test_content_leaves_times_out() -> None:
    assert layer_content(Layer((Put("f", _FILE),))) == layer_content(Layer((Put("f", replace(_FILE, mtime_ns=9)),)))


def test_content_sees_everything_else() -> None:
    changes: list[Change] = [
        Put("f", _FILE),
        Put("f", replace(_FILE, mode=0o600)),
        Put("f", replace(_FILE, uid=1)),
        Put("f", replace(_FILE, gid=1)),
        Put("f", replace(_FILE, xattrs={})),
        Put("f", replace(_FILE, content=replace(_CONTENT, digest=Digest.of(b"y")))),
        Put("g", _FILE),
        Put("f", Symlink(mode=0o777, target="g")),
        Put("f", Symlink(mode=0o777, target="h")),
        Put("f", Device(mode=0o600, kind="block", major=1, minor=2)),
        Put("f", Device(mode=0o600, kind="character", major=1, minor=2)),
        Put("f", Directory(mode=0o755)),
        Whiteout("f"),
        Opaque("f"),
    ]
    assert len({layer_content(Layer((change,))) for change in changes}) == len(changes)


def test_content_tells_a_hard_link_from_an_equal_file() -> None:
    linked = Layer((Put("a", _FILE), Put("b", _FILE)))
    separate = Layer((Put("a", _FILE), Put("b", replace(_FILE))))
    assert layer_content(linked) != layer_content(separate)
