"""What a RUN did, as a layer: real commands on a real overlayfs, compared with trees."""

import os
import shutil
import socket
import struct
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled
from imagewright.filesystem import (
    EMPTY,
    Device,
    Directory,
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
    diff,
    find,
    walk,
)
from imagewright.sandbox import RunRequest, Sandbox, capture

pytestmark = pytest.mark.privileged

APPLETS = "cat chgrp chmod chown cp dd echo ln ls mkdir mkfifo mknod mv rm rmdir sh sleep touch true".split()  # noqa: SIM905
CAPABILITY = struct.pack("<5I", 0x0200_0001, 1 << 10, 0, 0, 0)


def kind_of(change: object) -> str:
    if isinstance(change, Put):
        return type(change.node).__name__
    return type(change).__name__


class Image:
    """A directory as an image of one layer, and commands run on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lower = root / "lower"
        self.count = 0
        (self.lower / "bin").mkdir(parents=True)
        shutil.copy("/bin/busybox", self.lower / "bin/busybox")
        for name in APPLETS:
            (self.lower / "bin" / name).symlink_to("busybox")
        (self.lower / "d/sub").mkdir(parents=True)
        (self.lower / "d/one").write_text("one")
        (self.lower / "d/sub/two").write_text("two")
        (self.lower / "f").write_text("f")
        (self.lower / "g").hardlink_to(self.lower / "f")
        (self.lower / "link").symlink_to("d")
        (self.lower / "big").write_bytes(os.urandom(3_000_000))
        (self.lower / "etc").mkdir()
        for path in self.lower.rglob("*"):
            # busybox's cp keeps times to the microsecond.
            os.utime(path, (10**9, 10**9), follow_symlinks=False)
        self.tree = apply(EMPTY, capture(str(self.lower), EMPTY))
        self.upper = ""

    def run(self, script: str) -> Layer:
        self.count += 1
        self.upper = f"{self.root}/upper{self.count}"
        os.mkdir(self.upper)
        output: list[bytes] = []
        code = Sandbox(f"{self.root}/state").run(
            RunRequest(
                container_id=f"{self.count:064x}",
                argv=("sh", "-ec", script),
                env=("PATH=/bin",),
                lowers=(str(self.lower),),
                upper=self.upper,
                network="none",
            ),
            output=lambda _channel, data: output.append(data),
            cancellation=Cancellation(),
        )
        assert code == 0, output
        return capture(self.upper, self.tree)

    def changes(self, script: str) -> dict[str, str]:
        return {change.path: kind_of(change) for change in self.run(script).changes}

    def after(self, script: str) -> Tree:
        return apply(self.tree, self.run(script))


@pytest.fixture(name="image")
def make_image(tmp_path: Path) -> Image:
    return Image(tmp_path)


@pytest.mark.parametrize(
    "script",
    [
        "true",
        "cat /etc/hosts; echo x > /etc/hosts; echo x > /dev/shm/x; rm /.dockerenv /etc/mtab",
        "chmod 644 /f; chown 0:0 /big",
        ": >> /f; dd if=/dev/null of=/big conv=notrunc",
        "touch /tmpfile; rm /tmpfile; mkdir /d/t; rmdir /d/t",
        "cp -p /d/one /x; rm /d/one; mv /x /d/one",
        "cp -a /d /x; rm -r /d; mv /x /d",
        "chmod 700 /d; chmod 755 /d",
    ],
)
def test_nothing_changed(image: Image, script: str) -> None:
    image.lower.joinpath("f").chmod(0o644)
    assert image.changes(script) == {}


@pytest.mark.parametrize(
    ("script", "changes"),
    [
        ("echo x > /new", {"new": "File"}),
        ("echo x >> /d/sub/two", {"d": "Directory", "d/sub": "Directory", "d/sub/two": "File"}),
        ("rm /d/one", {"d": "Directory", "d/one": "Whiteout"}),
        ("rm -r /d", {"d": "Whiteout"}),
        ("chmod 700 /d/sub", {"d": "Directory", "d/sub": "Directory"}),
        ("chmod 4755 /d/one", {"d": "Directory", "d/one": "File"}),
        (
            "rm -r /d; mkdir /d; echo x > /d/new",
            {"d/new": "File", "d": "Directory"} | {"d/one": "Whiteout", "d/sub": "Whiteout"},
        ),
        ("rm -r /d; ln -s bin /d", {"d": "Symlink"}),
        ("rm /link; mkdir /link; echo x > /link/x", {"link": "Directory", "link/x": "File"}),
        ("rm /f; mkdir /f", {"f": "Directory"}),
        ("rm -r /d; echo x > /d", {"d": "File"}),
        ("mv /d /e", {"d": "Whiteout", "e": "Directory", "e/one": "File", "e/sub": "Directory", "e/sub/two": "File"}),
        ("mkfifo -m 600 /p; mknod -m 640 /c c 1 3; mknod /b b 7 0", {"b": "Device", "c": "Device", "p": "Fifo"}),
        ("ln /d/one /h", {"d": "Directory", "d/one": "File", "h": "File"}),
        ("chgrp 5 /link", {}),
        ("echo x > /f", {"f": "File"}),
    ],
)
def test_what_changed(image: Image, script: str, changes: dict[str, str]) -> None:
    # busybox's chgrp follows links, so that the directory changes.
    if "chgrp" in script:
        changes = {"d": "Directory"}
    assert image.changes(script) == changes


def test_hard_links_across_layers(image: Image) -> None:
    tree = image.after("ln /d/one /h; ln /h /i; echo x > /j; ln /j /d/k")
    assert find(tree, "h") is find(tree, "i") is find(tree, "d/one")
    assert find(tree, "j") is find(tree, "d/k")
    assert find(tree, "j") is not find(tree, "h")


def test_one_name_of_a_lower_layer_s_link_changes(image: Image) -> None:
    assert find(image.tree, "f") is find(image.tree, "g")
    tree = image.after("echo x > /f")
    node = find(tree, "g")
    assert node == find(image.tree, "g")
    assert node is not find(tree, "f")


def test_metadata(image: Image) -> None:
    tree = image.after(
        "mknod -m 640 /c c 1 3; chown 3:4 /c; echo x > /s; chown 1:2 /s; chmod 6711 /s; mkdir -m 1777 /t"
    )
    nodes: dict[str, Node | None] = {name: find(tree, name) for name in ("c", "s", "t")}
    device, file, directory = nodes["c"], nodes["s"], nodes["t"]
    assert isinstance(device, Device)
    assert (device.kind, device.major, device.minor, device.mode, device.uid, device.gid) == (
        "character",
        1,
        3,
        0o640,
        3,
        4,
    )
    assert isinstance(file, File)
    assert (file.mode, file.uid, file.gid, file.content.size) == (0o6711, 1, 2, 2)
    assert isinstance(directory, Directory)
    assert directory.mode == 0o1777


def test_times_are_kept_to_the_nanosecond(image: Image) -> None:
    image.run("echo x > /new")
    wanted = Path(image.upper, "new").stat().st_mtime_ns
    node = find(apply(image.tree, capture(image.upper, image.tree)), "new")
    assert node is not None
    assert node.mtime_ns == wanted


def test_attributes_that_belong_in_a_layer(image: Image) -> None:
    image.run("echo x > /new; mkdir /dir; mkfifo /fifo; ln -s x /sym")
    upper = image.upper
    os.setxattr(f"{upper}/new", "security.capability", CAPABILITY)
    os.setxattr(f"{upper}/new", "user.x", b"1")
    os.setxattr(f"{upper}/new", "trusted.overlay.origin", b"1")
    os.setxattr(f"{upper}/dir", "user.y", b"2")
    os.setxattr(f"{upper}/dir", "trusted.overlay.impure", b"y")
    tree = apply(image.tree, capture(upper, image.tree))
    assert {name: dict(node.xattrs) for name in ("new", "dir", "fifo", "sym") if (node := find(tree, name))} == {
        "new": {"security.capability": CAPABILITY, "user.x": b"1"},
        "dir": {"user.y": b"2"},
        "fifo": {},
        "sym": {},
    }


def test_sockets_are_as_if_they_were_not_there(image: Image) -> None:
    image.run("true")
    for name in ("socket", "f"):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{image.upper}/{name}")
    assert capture(image.upper, image.tree) == Layer((Whiteout("f"),))


def test_special_files_are_not_opened(image: Image) -> None:
    # Opening the one for reading would block, and the other would rewind a tape.
    image.run("mkfifo /p")
    assert capture(image.upper, image.tree).changes[0].path == "p"


def test_cancellation(image: Image) -> None:
    image.run("echo x > /new")
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        capture(image.upper, image.tree, cancellation=cancellation)


def test_contents_are_found_through_their_extents(image: Image) -> None:
    layer = image.run("cat /big /big > /bigger; echo small > /small")
    for change in layer.changes:
        assert isinstance(change, Put)
        node = change.node
        assert isinstance(node, File)
        data = Path(node.content.extent.path).read_bytes()
        assert (node.content.size, node.content.extent.offset) == (len(data), 0)
        assert type(node.content.digest).of(data) == node.content.digest


@pytest.mark.parametrize(
    "script",
    [
        "rm -r /d; mkdir -p /d/sub; echo x > /d/sub/three; ln /f /d/f",
        "mv /d /e; mkdir /d; mv /e/sub /d; ln -s e /d/e",
        "cp -a /d /e; rm /e/one; chmod 711 /e/sub; mv /e/sub /d/sub2; rm -r /link /bin/true",
    ],
)
def test_a_second_run_on_top_sees_what_the_first_left(image: Image, script: str, tmp_path: Path) -> None:
    tree = image.after(script)
    output: list[bytes] = []
    (tmp_path / "second").mkdir()
    Sandbox(f"{tmp_path}/state").run(
        RunRequest(
            container_id="f" * 64,
            argv=("sh", "-c", "busybox find / -xdev ! -path '/etc*' ! -name .dockerenv"),
            env=("PATH=/bin",),
            lowers=(image.upper, str(image.lower)),
            upper=str(tmp_path / "second"),
            network="none",
        ),
        output=lambda _channel, data: output.append(data),
        cancellation=Cancellation(),
    )
    seen = {line.strip("/") for line in b"".join(output).decode().splitlines()} - {"", "dev", "proc", "sys"}
    assert seen == {path for path, _ in walk(tree) if not path.startswith("etc")}


def test_an_opaque_directory_is_the_whiteouts_of_what_it_hides(image: Image) -> None:
    layer = image.run("rm -r /d; mkdir /d /d/sub")
    assert not any(isinstance(change, Opaque | Symlink | Fifo) for change in layer.changes)
    assert [change.path for change in layer.changes] == ["d", "d/one", "d/sub", "d/sub/two"]
    assert diff(image.tree, apply(image.tree, layer)) == layer
