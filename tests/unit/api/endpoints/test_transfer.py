import errno
import io
from urllib.parse import quote

import pytest

from imagewright.api.endpoints import transfer
from imagewright.cancellation import Cancellation
from imagewright.errors import NotFound
from imagewright.oci import Platform
from imagewright.reference import Reference
from unit.api.fake_daemon import FakeDaemon


def test_import(daemon: FakeDaemon) -> None:
    query = "fromSrc=-&repo=r&tag=t&changes=ENV%20A=1&changes=CMD%20x&message=m%FF&platform=linux/amd64"
    reply = daemon.request("POST", f"/v1.41/images/create?{query}", b"tar")
    (image,) = daemon.engine.images
    assert reply.status == 200
    assert reply.messages == [{"status": str(image)}]
    assert daemon.engine.calls == [
        ("import", b"tar", Reference.parse("r:t"), ("ENV A=1", "CMD x"), "m\ufffd", Platform("linux", "amd64"))
    ]


@pytest.mark.parametrize(
    ("query", "reference"), [("", None), ("&repo=r", "r:latest"), ("&repo=r:t", "r:t"), ("&repo=r:t&tag=", "r:t")]
)
def test_import_names(daemon: FakeDaemon, query: str, reference: str | None) -> None:
    assert daemon.request("POST", f"/images/create?fromSrc=-{query}", b"tar").status == 200
    assert daemon.engine.calls[0][2] == (Reference.parse(reference) if reference else None)


class Remote(io.BytesIO):
    """What is at an address, of `size` bytes if the server says so."""

    def __init__(self, data: bytes, size: int | None) -> None:
        super().__init__(data)
        self.size = size


@pytest.mark.parametrize(
    ("source", "address", "message"),
    [
        ("http://h/x.tar", "http://h/x.tar", "Imported from http://h/x.tar"),
        ("h:80/x", "http://h:80/x", "Imported from h:80/x"),
        ("https://u:p@h/x@y?token=z", "https://u:p@h/x@y?token=z", "Imported from https://h/x@y"),
    ],
)
def test_import_from_an_address(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, source: str, address: str, message: str
) -> None:
    asked: list[str] = []

    def open_url(url: str, _cancellation: Cancellation) -> Remote:
        asked.append(url)
        return Remote(b"t" * (3 << 19), None)

    monkeypatch.setattr(transfer, "open_url", open_url)
    reply = daemon.request("POST", f"/images/create?fromSrc={quote(source)}&repo=r", b"ignored")
    (image,) = daemon.engine.images
    progress = {"status": "Importing", "progressDetail": {"current": 1048576}, "progress": " 1.049MB"}
    assert reply.messages == [
        {"status": f"Downloading from {message[14:] if '://' in source else address}"},
        progress,
        {"status": "Importing", "progressDetail": {"current": 3 << 19}, "progress": " 1.573MB"},
        {"status": str(image)},
    ]
    assert asked == [address]
    assert daemon.engine.calls[0][4] == message


def test_import_from_an_address_that_does_not_answer(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_url(url: str, _cancellation: Cancellation) -> Remote:
        raise NotFound(f"failed to GET {url} with status 404 Not Found")

    monkeypatch.setattr(transfer, "open_url", open_url)
    reply = daemon.request("POST", "/images/create?fromSrc=http://h/x&message=m")
    assert (reply.status, reply.json) == (404, {"message": "failed to GET http://h/x with status 404 Not Found"})


def test_import_of_garbage_from_an_address(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "open_url", lambda _url, _cancellation: Remote(b"garbage", 7))
    reply = daemon.request("POST", "/images/create?fromSrc=http://h/x")
    assert reply.status == 200
    assert reply.messages[1]["progressDetail"] == {"current": 7, "total": 7}
    assert reply.messages[-1]["error"].startswith("Error processing tar file")


def test_import_of_garbage(daemon: FakeDaemon) -> None:
    reply = daemon.request("POST", "/images/create?fromSrc=-", b"garbage")
    text = "Error processing tar file(exit status 1): archive/tar: invalid tar header"
    assert (reply.status, reply.json) == (400, {"message": text})


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("", 400, "one of the parameters fromImage and fromSrc is needed"),
        ("fromImage=BAD", 400, "invalid reference format: repository name must be lowercase"),
        ("fromImage=scratch", 403, "'scratch' is a reserved name"),
        (f"fromSrc=-&repo=a@sha256:{'0' * 64}", 400, "cannot import digest reference"),
        ("fromSrc=-&repo=a&tag=b/c", 400, "invalid tag format"),
        (
            "fromSrc=-&platform=windows/amd64",
            400,
            "operating system is not supported: platform=windows/amd64",
        ),
    ],
)
def test_create_what_cannot_be(daemon: FakeDaemon, query: str, status: int, message: str) -> None:
    reply = daemon.request("POST", f"/images/create?{query}", b"")
    assert (reply.status, reply.json) == (status, {"message": message})


def test_load(daemon: FakeDaemon) -> None:
    reply = daemon.request("POST", "/v1.41/images/load?quiet=1", b"tar")
    (image,) = daemon.engine.images
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.messages == [
        {"stream": "Loaded image: loaded:1\n"},
        {"stream": f"Loaded image ID: {image}\n"},
    ]


def test_load_shows_progress_unless_it_is_quiet(daemon: FakeDaemon) -> None:
    first = daemon.request("POST", "/images/load?quiet=0", b"again").messages[0]
    assert (first["status"], first["id"], first["progressDetail"]) == (
        "Loading layer",
        "abc",
        {"current": 1, "total": 2},
    )


def test_load_of_garbage_fails_in_the_stream(daemon: FakeDaemon) -> None:
    reply = daemon.request("POST", "/images/load", b"garbage")
    text = "Error processing tar file(exit status 1): archive/tar: invalid tar header"
    assert reply.status == 200
    assert reply.messages == [{"errorDetail": {"message": text}, "error": text}]


def test_load_is_quiet_unless_it_is_told_not_to_be(daemon: FakeDaemon) -> None:
    messages = daemon.request("POST", "/images/load", b"again").messages
    assert [message["stream"] for message in messages][:2] == [
        "The image loaded:1 already exists\n",
        "Loaded image: loaded:1\n",
    ]


LINUX = '{"os":"linux","architecture":"amd64"}'
WINDOWS = '{"os":"windows","architecture":"amd64"}'


def test_load_for_a_platform(daemon: FakeDaemon) -> None:
    assert daemon.request("POST", f"/images/load?platform={LINUX}", b"tar").status == 200
    assert daemon.request("POST", f"/v1.47/images/load?platform={WINDOWS}", b"tar").status == 200
    assert daemon.request("POST", f"/v1.48/images/load?platform={WINDOWS}", b"tar").status == 200
    assert daemon.engine.platforms == [Platform("linux", "amd64"), None, Platform("windows", "amd64")]
    assert daemon.request("POST", "/images/load?platform=x", b"tar").status == 400


def test_save_for_a_platform(daemon: FakeDaemon) -> None:
    daemon.engine.add("a:1")
    assert daemon.get(f"/images/a:1/get?platform={LINUX}").status == 200
    assert daemon.get(f"/v1.47/images/a:1/get?platform={WINDOWS}").status == 200
    reply = daemon.get(f"/images/get?names=a:1&platform={WINDOWS}")
    assert reply.status == 404
    assert reply.json["message"].startswith("image with reference a:1 was found but its platform (linux/amd64)")
    reply = daemon.get(f"/images/nope/get?platform={LINUX}")
    assert (reply.status, reply.json) == (404, {"message": "No such image: nope"})


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/images/get?names=a:1", ("a:1",)),
        ("/images/get?names=a:1&names=b:1", ("a:1", "b:1")),
        ("/v1.41/images/a:1/get", ("a:1",)),
    ],
)
def test_save(daemon: FakeDaemon, path: str, names: tuple[str, ...]) -> None:
    for name in ("a:1", "b:1"):
        daemon.engine.add(name)
    reply = daemon.get(path)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/x-tar")
    configs = [image.config_bytes for image in daemon.engine.images.values()]
    assert reply.body == b"".join(b"head:" + config for config in configs[: len(names)])
    assert reply.chunks is not None
    assert len(reply.chunks) == 1
    assert daemon.engine.calls == [("save", names)]


def test_save_nothing(daemon: FakeDaemon) -> None:
    reply = daemon.get("/images/get")
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize("path", ["/images/get?names=nope", "/images/nope/get"])
def test_save_what_is_not_there(daemon: FakeDaemon, path: str) -> None:
    reply = daemon.get(path)
    assert (reply.status, reply.json) == (404, {"message": "No such image: nope"})


def test_save_of_much(daemon: FakeDaemon) -> None:
    daemon.engine.add("a:1")
    daemon.engine.flooded = 200
    reply = daemon.get("/images/a:1/get")
    assert len(reply.body) > 200 * 65536


def test_an_archive_that_fails_before_its_first_piece(daemon: FakeDaemon) -> None:
    def fail(name: str) -> None:
        if name == "save":
            raise OSError(errno.EIO, "x", "/var/lib/secret")

    daemon.engine.add("a:1")
    daemon.engine.before = fail
    reply = daemon.get("/images/a:1/get")
    assert (reply.status, reply.json) == (500, {"message": "input/output error"})
