import gzip
import io
import os
import tarfile

import pytest

from imagewright.archive import read_content
from imagewright.errors import Corrupt, InvalidInput, NotFound
from imagewright.filesystem import Directory, File, Layer, Opaque, Put, Symlink, Whiteout, find
from imagewright.oci import Digest
from imagewright.store import Store
from unit.store.seeding import Seed


def content(layer: Layer, path: str) -> bytes:
    node = next(change.node for change in layer.changes if isinstance(change, Put) and change.path == path)
    assert isinstance(node, File)
    return read_content(node.content, 1000)


def foreign_tar() -> bytes:
    """Return a tar that is a layer and not in canonical form."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in (("./deep/er/file", b"hello"), ("./.wh.gone", b"")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tar_of(store: Store, diff_id: Digest) -> bytes:
    with store.open_layer_tar(diff_id) as tar:
        return b"".join(iter(lambda: tar.read(1000), b""))


def everything(root: str) -> set[str]:
    return {
        os.path.relpath(os.path.join(directory, name), root)
        for directory, _, names in os.walk(root)
        for name in names
        if not name.startswith("db.sqlite")
    }


def test_a_layer_comes_back_as_it_went_in(seed: Seed, store: Store) -> None:
    shared = seed.file(b"shared", mode=0o4755)
    layer = Layer(
        (
            Whiteout("bin"),
            Put("bin", Directory(mode=0o755)),
            Put("bin/a", shared),
            Put("bin/b", shared),
            Put("bin/c", seed.file(b"")),
            Put("etc", Directory(mode=0o700, uid=3, xattrs={"user.x": b"\0"})),
            Opaque("etc"),
            Put("etc/big", seed.file(b"0123456789" * 100)),
            Put("etc/l", Symlink(mode=0o777, target="../bin/a")),
        )
    )
    diff_id = store.add_layer(layer)
    for reopened in (False, True):
        opened = seed.reopen() if reopened else store
        read = opened.get_layer(diff_id)
        assert read == layer
        assert content(read, "bin/a") == b"shared"
        assert content(read, "bin/c") == b""
        assert content(read, "etc/big") == b"0123456789" * 100
        nodes = {change.path: change.node for change in read.changes if isinstance(change, Put)}
        assert nodes["bin/a"] is nodes["bin/b"]
        assert opened.layer_size(diff_id) == 1006
        data = tar_of(opened, diff_id)
        assert Digest.of(data) == diff_id
        assert opened.layer_tar_size(diff_id) == len(data)
        out = io.BytesIO()
        opened.write_layer_tar(diff_id, out)
        assert out.getvalue() == data
        opened.add_image(
            b'{"architecture":"a","os":"b","rootfs":{"type":"layers","diff_ids":["%s"]}}' % str(diff_id).encode()
        )


def test_adding_twice_keeps_one(seed: Seed, store: Store) -> None:
    layer = seed.value("a")
    diff_id = store.add_layer(layer)
    before = everything(seed.root)
    assert store.add_layer(seed.value("a")) == diff_id
    assert store.add_layer_stream(io.BytesIO(tar_of(store, diff_id))) == diff_id
    assert (
        everything(seed.root)
        == before
        == {
            "lock",
            f"blobs/sha256/{diff_id.encoded}",
            f"layers/{diff_id.encoded}/index",
        }
    )


def test_the_sources_are_not_needed_afterwards(seed: Seed, store: Store) -> None:
    layer = seed.value("a", b"data")
    diff_id = store.add_layer(layer)
    node = layer.changes[1]
    assert isinstance(node, Put)
    assert isinstance(node.node, File)
    os.remove(node.node.content.extent.path)
    assert content(store.get_layer(diff_id), "etc/a") == b"data"


def test_a_source_that_changed_leaves_nothing(seed: Seed, store: Store) -> None:
    layer = seed.value("a", b"data")
    node = layer.changes[1]
    assert isinstance(node, Put)
    assert isinstance(node.node, File)
    os.truncate(node.node.content.extent.path, 3)
    with pytest.raises(Corrupt):
        store.add_layer(layer)
    assert everything(seed.root) == {"lock"}


def test_a_captured_directory_is_taken_over(seed: Seed, store: Store) -> None:
    layer, directory = seed.captured("a", b"data")
    diff_id = store.add_layer_directory(layer, directory, below=[])
    assert not os.path.exists(directory)
    assert diff_id == store.add_layer(seed.value("a", b"data"))
    for _ in range(2):
        read = seed.store.get_layer(diff_id)
        assert read == layer
        assert content(read, "etc/a") == b"data"
        data = tar_of(seed.store, diff_id)
        assert Digest.of(data) == diff_id
        assert len(data) == seed.store.layer_tar_size(diff_id)
        out = io.BytesIO()
        seed.store.write_layer_tar(diff_id, out)
        assert out.getvalue() == data
        seed.image("x:1", layers=[diff_id])
        seed.reopen()


def test_a_captured_directory_that_is_known_goes(seed: Seed, store: Store) -> None:
    diff_id = seed.layer("a", b"data")
    layer, directory = seed.captured("a", b"data")
    assert store.add_layer_directory(layer, directory, below=[]) == diff_id
    assert not os.path.exists(directory)
    assert content(store.get_layer(diff_id), "etc/a") == b"data"


def test_a_captured_directory_must_have_the_contents(seed: Seed, store: Store) -> None:
    _, directory = seed.captured("a")
    with pytest.raises(Corrupt, match="outside its directory"):
        store.add_layer_directory(seed.value("b"), directory, below=[])


@pytest.mark.parametrize("compressed", [False, True])
def test_a_foreign_tar_is_kept_byte_for_byte(store: Store, compressed: bool) -> None:
    data = foreign_tar()
    wanted = Digest.of(data)
    sent = gzip.compress(data) if compressed else data
    assert store.add_layer_stream(io.BytesIO(sent), diff_id=wanted) == wanted
    layer = store.get_layer(wanted)
    assert content(layer, "deep/er/file") == b"hello"
    assert Whiteout("gone") in layer.changes
    assert tar_of(store, wanted) == data
    assert store.layer_size(wanted) == 5
    unread = io.BytesIO(sent)
    assert store.add_layer_stream(unread, diff_id=wanted) == wanted
    assert unread.tell() == 0


def test_a_foreign_tar_with_holes(store: Store) -> None:
    # The old GNU form: the map is in the header, and the data has one byte at 1,000,000.
    header = bytearray(tarfile.TarInfo("holes").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"%011o\0" % 1
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:410] = b"%011o\0%011o\0" % (1_000_000, 1)
    header[483:495] = b"%011o\0" % 1_000_001
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data = bytes(header) + b"x" + bytes(511) + bytes(1024)
    diff_id = store.add_layer_stream(io.BytesIO(data))
    node = find(store.tree([diff_id]), "holes")
    assert isinstance(node, File)
    assert node.content.size == store.layer_size(diff_id) == 1_000_001
    assert read_content(node.content, 2_000_000) == bytes(1_000_000) + b"x"
    assert tar_of(store, diff_id) == data


def test_a_stream_that_is_not_what_was_promised(seed: Seed, store: Store) -> None:
    wanted = Digest.of(b"something else")
    with pytest.raises(Corrupt, match=f"^layer {wanted} has the digest {Digest.of(foreign_tar())}$"):
        store.add_layer_stream(io.BytesIO(foreign_tar()), diff_id=wanted)
    with pytest.raises(InvalidInput):
        store.add_layer_stream(io.BytesIO(b"garbage" * 100))
    assert everything(seed.root) == {"lock"}


@pytest.mark.parametrize("form", ["tar", "directory"])
def test_bytes_that_changed_on_the_disk_are_not_given_out(seed: Seed, store: Store, form: str) -> None:
    if form == "tar":
        diff_id = seed.layer("a", b"data")
        path = f"{seed.root}/blobs/sha256/{diff_id.encoded}"
    else:
        diff_id = store.add_layer_directory(*seed.captured("a", b"data"), below=[])
        path = f"{seed.root}/layers/{diff_id.encoded}/fs/etc/a"
    with open(path, "r+b") as file:
        data = file.read().replace(b"data", b"DATA")
        file.seek(0)
        file.write(data)
    with pytest.raises(Corrupt):
        tar_of(store, diff_id)
    with pytest.raises(Corrupt):
        store.write_layer_tar(diff_id, io.BytesIO())


def test_what_is_not_here(seed: Seed, store: Store) -> None:
    unknown = Digest.of(b"unknown")
    assert not store.has_layer(unknown)
    for ask in (store.get_layer, store.layer_size, store.layer_tar_size, store.open_layer_tar):
        with pytest.raises(NotFound, match=f"^No such layer: {unknown}$"):
            ask(unknown)
    with pytest.raises(NotFound), store.lease() as lease:
        lease.keep(unknown)
    with pytest.raises(NotFound):
        store.tree([seed.layer("a"), unknown])


def test_sweeping_takes_what_nobody_holds(seed: Seed, store: Store) -> None:
    with store.lease() as lease:
        held, kept, free = seed.layer("held"), seed.layer("kept"), seed.layer("free")
        captured = store.add_layer_directory(*seed.captured("captured"), below=[])
        seed.image("x:1", layers=[held])
        store.sweep()
        assert all(store.has_layer(diff_id) for diff_id in (held, kept, free, captured))
    with store.lease() as lease:
        lease.keep(kept)
        store.sweep()
        assert [store.has_layer(diff_id) for diff_id in (held, kept, free, captured)] == [True, True, False, False]
    store.sweep()
    assert everything(seed.root) == {"lock", f"blobs/sha256/{held.encoded}", f"layers/{held.encoded}/index"}


def test_a_layer_can_come_back_in_another_form(seed: Seed, store: Store) -> None:
    diff_id = seed.layer("a", b"data")
    assert content(Layer((Put("etc/a", find(store.tree([diff_id]), "etc/a")),)), "etc/a") == b"data"  # type: ignore[arg-type]
    store.sweep()
    assert store.add_layer_directory(*seed.captured("a", b"data"), below=[]) == diff_id
    node = find(store.tree([diff_id]), "etc/a")
    assert isinstance(node, File)
    assert read_content(node.content, 10) == b"data"


def test_trees_fold_layers(seed: Seed, store: Store) -> None:
    low, high = seed.layer("a", b"1"), seed.layer("b", b"2")
    removing = store.add_layer(Layer((Put("etc", Directory(mode=0o711)), Whiteout("etc/a"))))
    assert store.tree([]).children == {}
    both = store.tree([low, high])
    assert find(both, "etc/a") is not None
    top = store.tree([low, high, removing])
    assert find(top, "etc/a") is None
    assert find(top, "etc/b") is find(both, "etc/b")
    assert store.tree([low, high]) is both


def test_a_damaged_index(seed: Seed) -> None:
    diff_id = seed.layer("a")
    seed.image("x:1", layers=[diff_id])
    with open(f"{seed.root}/layers/{diff_id.encoded}/index", "wb") as file:
        file.write(b"nonsense")
    with pytest.raises(Corrupt):
        seed.reopen().get_layer(diff_id)


def test_a_reader_may_leave_early(seed: Seed, store: Store) -> None:
    diff_id = store.add_layer_directory(*seed.captured("a", b"x" * 1_000_000), below=[])
    tar = store.open_layer_tar(diff_id)
    assert tar.read(10)
    assert tar.read(0) == b""
    tar.close()
    tar.close()


def test_a_composed_tar_passes_on_what_goes_wrong(seed: Seed, store: Store) -> None:
    diff_id = store.add_layer_directory(*seed.captured("a", b"data"), below=[])
    os.truncate(f"{seed.root}/layers/{diff_id.encoded}/fs/etc/a", 1)
    with pytest.raises(Corrupt, match="bytes"):
        tar_of(store, diff_id)
