"""Layers become directories that overlayfs shows as `apply` has them, and come back as they were."""

import os
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from imagewright.errors import InvalidInput
from imagewright.filesystem import (
    EMPTY,
    Change,
    Content,
    Device,
    Directory,
    Extent,
    Fifo,
    File,
    Layer,
    Node,
    Opaque,
    Put,
    Symlink,
    Tree,
    Whiteout,
    apply,
    arrange,
    diff,
    find,
    walk,
)
from imagewright.oci import Digest
from imagewright.sandbox import capture, unpack
from imagewright.sandbox.container import leave_host_mounts
from imagewright.sandbox.kernel import in_new_thread
from imagewright.sandbox.overlay import mount_overlay, unmount_overlay

pytestmark = pytest.mark.privileged

SPOOL = b"".join(bytes([65 + n]) * n for n in range(20)) + bytes(range(256)) * 6000
CAPABILITY = struct.pack("<5I", 0x0200_0001, 1 << 10, 0, 0, 0)

NAMES = ("a", "b", "c d", "é", "\udcff", ".wh.x", "z" * 255)
MODES = (0o644, 0o755, 0o600, 0o4755, 0o2711, 0o1777, 0o000)
TIMES = (0, 1, 1_700_000_000_123_456_789, 10**9)

owners = st.sampled_from([(0, 0), (1, 2), (1000, 0), (2**31 - 1, 5)])
xattrs = st.sampled_from([{}, {"user.x": b"1"}, {"user.x": b"\0\xff", "user.long": b"v" * 100}])


@pytest.fixture(scope="module", name="spool")
def make_spool(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("spool") / "spool"
    path.write_bytes(SPOOL)
    return str(path)


@st.composite
def contents(draw: st.DrawFn, spool: str) -> Content:
    offset = draw(st.sampled_from([0, 3, 50, 190]))
    size = draw(st.sampled_from([0, 1, 17, 5000, 1_200_000]))
    return Content(Digest.of(SPOOL[offset : offset + size]), size, Extent(spool, offset))


@st.composite
def nodes(draw: st.DrawFn, spool: str) -> Node:
    uid, gid = draw(owners)
    mtime_ns = draw(st.sampled_from(TIMES))
    mode = draw(st.sampled_from(MODES))
    kind = draw(st.sampled_from(["directory", "directory", "file", "file", "symlink", "fifo", "device"]))
    if kind == "directory":
        return Directory(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=draw(xattrs))
    if kind == "file":
        extra = draw(st.sampled_from([{}, {"security.capability": CAPABILITY}]))
        return File(
            mode=mode,
            uid=uid,
            gid=gid,
            mtime_ns=mtime_ns,
            xattrs={**draw(xattrs), **extra},
            content=draw(contents(spool)),
        )
    if kind == "symlink":
        target = draw(st.sampled_from(["a", "/a/b", "../..", "\udcff", "x" * 300]))
        return Symlink(mode=0o777, uid=uid, gid=gid, mtime_ns=mtime_ns, target=target)
    if kind == "fifo":
        return Fifo(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns)
    major, minor = draw(st.sampled_from([(1, 3), (7, 0), (259, 70_000)]))
    return Device(
        mode=mode,
        uid=uid,
        gid=gid,
        mtime_ns=mtime_ns,
        kind=draw(st.sampled_from(["block", "character"])),
        major=major,
        minor=minor,
    )


paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)


@st.composite
def puts(draw: st.DrawFn, spool: str, *, links: bool) -> list[Put]:
    made = [Put(path, draw(nodes(spool))) for path in draw(st.lists(paths, max_size=8, unique=True))]
    linkable = [put.node for put in made if not isinstance(put.node, Directory)]
    if links and linkable:
        made += [Put(path, draw(st.sampled_from(linkable))) for path in draw(st.lists(paths, max_size=3))]
    return made


@st.composite
def trees(draw: st.DrawFn, spool: str, *, links: bool) -> Tree:
    return apply(EMPTY, arrange(draw(puts(spool, links=links))))


@st.composite
def layers(draw: st.DrawFn, spool: str) -> Layer:
    """Any layer, such as others make: with whiteouts, opaque directories, and without parents."""
    changes: list[Change] = [*draw(puts(spool, links=True))]
    changes += map(Whiteout, draw(st.lists(paths, max_size=3)))
    changes += map(Opaque, draw(st.lists(paths | st.just(""), max_size=2)))
    files = {change.path for change in changes if isinstance(change, Put) and not isinstance(change.node, Directory)}
    for change in changes:
        parts = change.path.split("/")
        assume(not any("/".join(parts[:n]) in files for n in range(1, len(parts))))
        assume(not (isinstance(change, Opaque) and change.path in files))
    return arrange(changes)


def names_of_links(layer: Layer) -> set[tuple[str, ...]]:
    names: dict[int, list[str]] = {}
    for change in layer.changes:
        if isinstance(change, Put):
            names.setdefault(id(change.node), []).append(change.path)
    return {tuple(group) for group in names.values() if len(group) > 1}


def round_trip(layer: Layer, parent: Tree, check: Callable[[str], None] = lambda _: None) -> Layer:
    with tempfile.TemporaryDirectory() as directory:
        upper = f"{directory}/upper"
        os.mkdir(upper)
        unpack(layer, upper, parent)
        check(upper)
        return capture(upper, parent)


quick = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@quick
@given(data=st.data())
def test_a_layer_comes_back_as_it_was(spool: str, data: st.DataObject) -> None:
    lower = data.draw(trees(spool, links=False))
    layer = diff(lower, data.draw(trees(spool, links=True)))
    again = round_trip(layer, lower)
    assert again == layer
    assert names_of_links(again) == names_of_links(layer)


@quick
@given(data=st.data())
def test_any_layer_means_the_same_afterwards(spool: str, data: st.DataObject) -> None:
    lower = data.draw(trees(spool, links=False))
    layer = data.draw(layers(spool))
    assert round_trip(layer, lower) == diff(lower, apply(lower, layer))


@quick
@given(data=st.data())
def test_overlayfs_shows_what_apply_says(spool: str, data: st.DataObject) -> None:
    below = data.draw(trees(spool, links=True))
    layer = data.draw(layers(spool))
    with tempfile.TemporaryDirectory() as directory:
        for name in ("lower", "middle", "upper", "work", "target"):
            os.mkdir(f"{directory}/{name}")
        unpack(diff(EMPTY, below), f"{directory}/lower", EMPTY)
        unpack(layer, f"{directory}/middle", below)

        def look() -> Layer:
            leave_host_mounts()
            lowers = [f"{directory}/middle", f"{directory}/lower"]
            target = f"{directory}/target"
            mount_overlay(f"{directory}/links", target, lowers, f"{directory}/upper", f"{directory}/work")
            try:
                return capture(target, EMPTY)
            finally:
                unmount_overlay(target)

        seen = in_new_thread(look, "look")
        assert seen == diff(EMPTY, apply(below, layer))


def file_of(spool: str, text: bytes) -> File:
    start = SPOOL.index(text)
    return File(mode=0o644, content=Content(Digest.of(text), len(text), Extent(spool, start)))


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a/../../x", "a//x", "./x", "..", "."], ids=lambda path: path.replace("/", "-")
)
def test_names_that_lead_out_are_refused(spool: str, tmp_path: Path, path: str) -> None:
    (tmp_path / "d").mkdir()
    for change in (Put(path, file_of(spool, b"B")), Put(path, Directory(mode=0o755)), Whiteout(path), Opaque(path)):
        with pytest.raises(InvalidInput):
            unpack(Layer((change,)), str(tmp_path / "d"), apply(EMPTY, Layer((Put("x", file_of(spool, b"B")),))))
    assert os.listdir(tmp_path) == ["d"]


def test_links_are_not_followed(spool: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "d").mkdir()
    link = Put("a", Symlink(mode=0o777, target="../outside"))
    for change in (Put("a/x", file_of(spool, b"B")), Whiteout("a/x"), Opaque("a"), Put("a", Directory(mode=0o777))):
        with pytest.raises(InvalidInput, match="cannot be unpacked"):
            unpack(Layer((link, change)), str(tmp_path / "d"), apply(EMPTY, Layer((Put("a/x", Fifo(mode=0)),))))
        (tmp_path / "d/a").unlink()
    assert os.listdir(tmp_path / "outside") == []


def test_attributes_of_overlayfs_and_of_the_host_s_policy_are_left_out(tmp_path: Path) -> None:
    node = Directory(
        mode=0o755,
        xattrs={"trusted.overlay.opaque": b"y", "trusted.x": b"1", "security.selinux": b"s", "user.kept": b"k"},
    )
    unpack(Layer((Put("a", node),)), str(tmp_path), EMPTY)
    assert os.listxattr(tmp_path / "a") == ["user.kept"]


def deep(path: str) -> Iterator[Change]:
    parts = path.split("/")
    for length in range(1, len(parts) + 1):
        yield Put("/".join(parts[:length]), Directory(mode=0o755, mtime_ns=length * 10**9))


@pytest.fixture(name="deep_place")
def make_deep_place() -> Iterator[str]:
    # shutil.rmtree recurses, and gives up on what this test makes.
    place = tempfile.mkdtemp()
    yield place
    subprocess.run(["rm", "-rf", place], check=True)


def test_directories_deeper_than_descriptors_last(spool: str, deep_place: str) -> None:
    first, second = "/".join("d" * 1500), "/".join(["d"] * 700 + ["e"] * 700)
    node = file_of(spool, b"CC")
    layer = arrange([*deep(first), *deep(second), Put(f"{first}/x", node), Put(f"{second}/x", node)])
    unpack(layer, deep_place, EMPTY)
    again = capture(deep_place, EMPTY)
    assert again == layer
    assert names_of_links(again) == names_of_links(layer)


def test_metadata_of_directories_that_the_layer_lacks(spool: str) -> None:
    lower = apply(EMPTY, Layer((Put("a", Directory(mode=0o700, uid=3, xattrs={"user.x": b"1"})),)))
    captured = round_trip(Layer((Put("a/b/c", file_of(spool, b"B")),)), lower)
    tree = apply(lower, captured)
    assert [(path, node.mode, node.uid) for path, node in walk(tree)] == [
        ("a", 0o700, 3),
        ("a/b", 0o755, 0),
        ("a/b/c", 0o644, 0),
    ]
    a = find(tree, "a")
    assert a is not None
    assert a.xattrs == {"user.x": b"1"}
