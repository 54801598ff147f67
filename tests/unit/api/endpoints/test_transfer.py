import errno

import pytest

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


def test_import_of_garbage(daemon: FakeDaemon) -> None:
    reply = daemon.request("POST", "/images/create?fromSrc=-", b"garbage")
    text = "Error processing tar file(exit status 1): archive/tar: invalid tar header"
    assert (reply.status, reply.json) == (400, {"message": text})


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("", 400, "one of the parameters fromImage and fromSrc is needed"),
        ("fromSrc=http://x", 501, "importing an image from an address (fromSrc) is not supported yet"),
        ("fromImage=alpine", 501, "pulling an image from a registry (fromImage) is not supported yet"),
        ("fromImage=BAD", 400, "invalid reference format: repository name must be lowercase"),
        ("fromImage=scratch", 403, "'scratch' is a reserved name"),
        (f"fromSrc=-&repo=a@sha256:{'0' * 64}", 400, "cannot import digest reference"),
        ("fromSrc=-&repo=a&tag=b/c", 400, "invalid tag format"),
        (
            "fromSrc=-&platform=linux/s390x",
            501,
            "the platform linux/s390x is not supported yet: images are built for linux/amd64",
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
    first = daemon.request("POST", "/images/load", b"tar").messages[0]
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


@pytest.mark.parametrize("path", ["/v1.48/images/load?platform=x", "/v1.48/images/get?names=a&platform=x"])
def test_platforms_are_not_there_yet(daemon: FakeDaemon, path: str) -> None:
    reply = daemon.request("POST" if "load" in path else "GET", path)
    assert (reply.status, reply.json) == (501, {"message": "the parameter platform is not supported yet"})


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
