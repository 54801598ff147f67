import json

import pytest

from imagewright.cli.client import Client, alive
from imagewright.cli.display import PlainDisplay
from imagewright.engine import BuildRequest, ImageQuery
from imagewright.errors import (
    Conflict,
    Forbidden,
    ImagewrightError,
    InvalidInput,
    NotFound,
    SystemFailure,
    Unavailable,
    Unsupported,
)
from imagewright.oci import Digest
from imagewright.reference import Reference
from support.scripted import Answer, scripted_engine

IMAGE = Digest("0123456789abcdef" * 4)


class Quiet(PlainDisplay):
    """A display that nobody looks at."""

    def __init__(self) -> None:
        import io

        super().__init__(io.BytesIO())


def entry(**changes: object) -> dict[str, object]:
    return {
        "Id": str(IMAGE),
        "ParentId": "",
        "Created": 5,
        "Size": 7,
        "RepoTags": None,
        "RepoDigests": None,
        "Labels": None,
        "Containers": -1,
        **changes,
    }


def test_list() -> None:
    entries = [
        entry(RepoTags=["a:1", "b:2"], RepoDigests=[f"a@{IMAGE}"], Labels={"k": "v"}, ParentId=str(IMAGE)),
        entry(RepoTags=["<none>:<none>"], RepoDigests=["<none>@<none>"]),
        entry(),
    ]
    with scripted_engine({"GET /images/json": Answer(json.dumps(entries).encode())}) as engine:
        named, placeholders, nulls = Client(engine.socket).list_images(ImageQuery())
    assert engine.requests[0].query == {}
    assert (named.tags, named.digests, named.labels) == (("a:1", "b:2"), (f"a@{IMAGE}",), {"k": "v"})
    assert (named.id, named.parent, named.created_ns, named.size) == (IMAGE, IMAGE, 5_000_000_000, 7)
    assert placeholders == nulls
    assert (nulls.tags, nulls.digests, nulls.parent) == ((), (), None)


def test_list_sends_the_query() -> None:
    query = ImageQuery(
        all=True, dangling=False, labels=("a", "b=c"), before=("x",), since=("y",), references=("busybox*",)
    )
    with scripted_engine({"GET /images/json": Answer(b"[]")}) as engine:
        assert Client(engine.socket).list_images(query) == []
    sent = engine.requests[0].query
    assert sent["all"] == ["1"]
    assert json.loads(sent["filters"][0]) == {
        "dangling": ["false"],
        "label": ["a", "b=c"],
        "before": ["x"],
        "since": ["y"],
        "reference": ["busybox*"],
    }


def test_version() -> None:
    with scripted_engine({"GET /version": Answer(b'{"Version":"1"}')}) as engine:
        assert Client(engine.socket).version() == {"Version": "1"}


@pytest.mark.parametrize("body", [b"", b"nope", b"[]"])
def test_answer_that_is_none(body: bytes) -> None:
    with scripted_engine({"GET /version": Answer(body)}) as engine, pytest.raises(SystemFailure):
        Client(engine.socket).version()


def test_build_sends_only_what_is_asked_for() -> None:
    stream = b'{"stream":"Step 1/1 : FROM scratch"}\r\n\r\n{"aux":{"ID":"%s"}}\r\n{}\r\n' % str(IMAGE).encode()
    request = BuildRequest(
        dockerfile="sub/D",
        tags=(Reference.parse("a:1"), Reference.parse("b.example/c:2")),
        target="t",
        build_args={"A": "1", "B": None},
        labels={"l": "v"},
        cache_from=("c:1", "d"),
        explain=True,
        no_cache=True,
        network_mode="none",
    )
    with scripted_engine({"POST /build": Answer(stream)}) as engine:
        client = Client(engine.socket)
        assert client.build(iter([b"ab", b"c"]), request, Quiet()) == IMAGE
        assert client.build(iter([]), BuildRequest(), Quiet()) == IMAGE
    full, bare = engine.requests
    assert full.body == b"abc"
    assert {key: values for key, values in full.query.items() if key not in {"buildargs", "labels", "cachefrom"}} == {
        "t": ["a:1", "b.example/c:2"],
        "dockerfile": ["sub/D"],
        "target": ["t"],
        "explain": ["1"],
        "nocache": ["1"],
        "networkmode": ["none"],
    }
    assert json.loads(full.query["buildargs"][0]) == {"A": "1", "B": None}
    assert json.loads(full.query["labels"][0]) == {"l": "v"}
    assert json.loads(full.query["cachefrom"][0]) == ["c:1", "d"]
    assert (bare.query, bare.body) == ({}, b"")


def test_build_without_an_id() -> None:
    with scripted_engine({"POST /build": Answer(b"")}) as engine, pytest.raises(SystemFailure, match="did not say"):
        Client(engine.socket).build(iter([]), BuildRequest(), Quiet())


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidInput),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (418, SystemFailure),
        (500, SystemFailure),
        (501, Unsupported),
        (503, Unavailable),
    ],
)
def test_refusals(status: int, error: type[ImagewrightError]) -> None:
    with scripted_engine({"GET /version": Answer(b'{"message":"no"}', status)}) as engine:
        with pytest.raises(error) as caught:
            Client(engine.socket).version()
        assert type(caught.value) is error
        assert str(caught.value) == "no"


@pytest.mark.parametrize(("body", "message"), [(b"plain text\n", "plain text"), (b"[1]", "[1]"), (b"", "Bad Request")])
def test_refusal_without_a_message(body: bytes, message: str) -> None:
    with scripted_engine({"GET /version": Answer(body, 400)}) as engine, pytest.raises(InvalidInput) as caught:
        Client(engine.socket).version()
    assert str(caught.value) == message


def test_refusal_before_the_body_is_read() -> None:
    answer = Answer(b'{"message":"invalid reference format"}', 400, early=True)
    chunks = (bytes(1 << 16) for _ in range(1 << 12))
    with (
        scripted_engine({"POST /build": answer}) as engine,
        pytest.raises(InvalidInput, match=r"^invalid reference format$"),
    ):
        Client(engine.socket).build(chunks, BuildRequest(), Quiet())


def test_nobody_there() -> None:
    assert not alive("/nonexistent/socket")
    with pytest.raises(Unavailable, match="cannot talk to the engine at unix:///nonexistent/socket"):
        Client("/nonexistent/socket").version()


def test_alive() -> None:
    with scripted_engine({}) as engine:
        assert alive(engine.socket)
