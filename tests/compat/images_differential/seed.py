"""What both engines hold before the first request: images from one archive, whose ids, times and sizes are given."""

import functools
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.bases import busybox_base
from support.builder import Content, archive, context
from support.differential import Request

__all__ = ["SEEDED", "Image", "docker_archive", "known_ids", "prefix_of_two", "seeding"]


@dataclass(frozen=True)
class Image:
    """An image for an archive; `layers` are tars, `config` the run configuration, `document` what else there is."""

    tags: Sequence[str] = ()
    created: str = ""
    layers: Sequence[bytes] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] | None = None

    @property
    def bytes(self) -> bytes:
        """The image's configuration, whose digest is its id."""
        history = [{"created_by": f"layer {index}"} for index, _ in enumerate(self.layers)]
        document = {
            "architecture": "amd64",
            "config": dict(self.config),
            **({"created": self.created} if self.created else {}),
            "history": list(history if self.history is None else self.history),
            "os": "linux",
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in self.layers],
            },
            **self.document,
        }
        return json.dumps(document, separators=(",", ":")).encode()

    @property
    def id(self) -> str:
        """The image's id, hexadecimal."""
        return hashlib.sha256(self.bytes).hexdigest()


def docker_archive(images: Sequence[Image]) -> bytes:
    """Return the archive that `docker load` reads."""
    members: dict[str, Content] = {}
    manifest = []
    for image in images:
        layers = [f"{hashlib.sha256(layer).hexdigest()}.tar" for layer in image.layers]
        members |= dict(zip(layers, image.layers, strict=True))
        members[f"{image.id}.json"] = image.bytes
        manifest.append({"Config": f"{image.id}.json", "RepoTags": list(image.tags) or None, "Layers": layers})
    return archive(members | {"manifest.json": json.dumps(manifest)})


_BASE = archive({"base": b"b" * 1000})
_MORE = archive({"more": b"m" * 20, "dir/same": b"s" * 7})
_ODD = archive({"odd": b""})

_FULL: Mapping[str, Any] = {
    "Hostname": "host",
    "Domainname": "domain",
    "User": "1000:50",
    "AttachStdout": True,
    "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
    "Tty": True,
    "Env": ["PATH=/bin", "A=<&>"],
    "Cmd": ["run", "--all"],
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5000000000, "Retries": 3},
    "ArgsEscaped": True,
    "Image": "sha256:" + "1" * 64,
    "Volumes": {"/data": {}},
    "WorkingDir": "/work",
    "Entrypoint": ["/entry"],
    "OnBuild": ["RUN true"],
    "Labels": {"k": "v3", "K": "upper", "a.b/c": "d=e", "empty": ""},
    "StopSignal": "SIGINT",
    "StopTimeout": 7,
    "Shell": ["/bin/sh", "-ec"],
}

SEEDED: Mapping[str, Image] = {
    "one": Image(["one:1"], "2020-01-01T00:00:00.5Z", [_BASE], {"Labels": {"k": "v1"}}),
    "two": Image(
        ["two:1", "two:2", "ns/two:1", "localhost:5000/two:1"],
        "2021-01-01T00:00:00Z",
        [_BASE, _MORE],
        {"Labels": {"k": "v2", "empty": "", "x": "a=b"}, "Cmd": ["two"]},
    ),
    "sorted": Image(["abc.example/x:1", "aa:1", "zz:1", "ns/b:9"], "2021-06-01T00:00:00Z", [_MORE]),
    "loose": Image([], "2021-03-01T00:00:00Z", [_BASE], {"Labels": {"k": "v1", "loose": "yes"}}),
    "tie-a": Image(["tie:a"], "2022-02-02T02:02:02.1Z", [_BASE]),
    "tie-b": Image(["tie:b"], "2022-02-02T02:02:02.2Z", [_BASE]),
    "tie-c": Image(["tie:c"], "2022-02-02T02:02:02.2Z", [_MORE]),
    "zone": Image(["zone:1"], "2022-03-03T03:03:03.000000001+02:00", [_BASE]),
    "undated": Image(["undated:latest"], "", [_BASE]),
    "epoch": Image(["epoch:latest"], "1970-01-01T00:00:00Z", [_BASE]),
    "future": Image(["future:latest"], "2099-01-01T00:00:00Z", [_BASE]),
    "bare": Image(["bare:latest"], "2019-01-01T00:00:00Z", []),
    "full": Image(
        ["full:1", "deep.example:8443/a/b/c:tag_1.2-3"],
        "2018-01-01T00:00:00.123456789Z",
        [_BASE, _MORE, _ODD],
        _FULL,
        {
            "author": "Me <me@example.org>",
            "comment": "a comment",
            "container": "c" * 64,
            "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) CMD x"], "Labels": {}},
            "docker_version": "1.2.3",
            "variant": "v8",
            "os.version": "10",
        },
        [
            {"created": "2018-01-01T00:00:00Z", "created_by": "first", "author": "A", "comment": "one"},
            {"created": "2018-01-01T00:00:01Z", "created_by": "ENV <A>", "empty_layer": True},
            {"created": "2018-01-01T00:00:02Z", "created_by": "second"},
            {"created_by": "third"},
            {"created": "2018-01-01T00:00:04Z", "comment": "last", "empty_layer": True},
        ],
    ),
    "short-history": Image(["short:history"], "2017-01-01T00:00:00Z", [_BASE, _MORE], history=[{"created_by": "x"}]),
    "arm": Image(["arm:1"], "2016-01-01T00:00:00Z", [_ODD], document={"architecture": "arm64", "variant": "v8"}),
    "null-config": Image(["null:config"], "2015-01-01T00:00:00Z", [_ODD], document={"config": None}),
    "unknown-keys": Image(["unknown:keys"], "2014-01-01T00:00:00Z", [_ODD], {"Extra": 1}, {"extra": {"a": 1}}),
}


def known_ids(images: Mapping[str, Image]) -> Mapping[str, str]:
    """Return the ids and layer digests that are known beforehand, by name."""
    layers = {"layer-base": _BASE, "layer-more": _MORE, "layer-odd": _ODD}
    return {
        **{name: image.id for name, image in images.items()},
        **{name: hashlib.sha256(layer).hexdigest() for name, layer in layers.items()},
        "layer-busybox": hashlib.sha256(_busybox()).hexdigest(),
    }


def prefix_of_two() -> str:
    """Return the start of the ids of at least two seeded images: names nothing, whatever else there is."""
    ids = sorted(image.id for image in SEEDED.values())
    return next(first[:1] for first, second in itertools.pairwise(ids) if first[0] == second[0])


@functools.cache
def _busybox() -> bytes:
    return busybox_base()


def _build(name: str, dockerfile: str, parameters: str, subject: str) -> Request:
    body = context(dockerfile, {"x": "x" * 10, "y": "y" * 20})
    return Request(f"build {name}", "POST", f"/v1.41/build?{parameters}", body, learn=name, subject=subject)


def seeding() -> Iterator[Request]:
    """Requests that give an engine what it holds before anything is asked."""
    yield Request("load", "POST", "/v1.41/images/load?quiet=1", docker_archive(list(SEEDED.values())))
    target = "/v1.41/images/create?fromSrc=-&repo=base&tag=1"
    yield Request("import", "POST", target, _busybox(), learn="busybox", subject="base:1")
    # A chain of parents: untagged ones between, and a tagged one.
    yield _build("child", "FROM one:1\nLABEL child=yes\nCOPY x /x\nENV A=1\n", "t=child:1&t=ns/child:2", "child:1")
    yield _build("grand", "FROM child:1\nCOPY y /y\n", "t=grand:1", "grand:1")
    # Built twice under one name: the first is left without.
    yield _build("loser", "FROM one:1\nLABEL turn=1\n", "t=again:1", "again:1")
    yield _build("winner", "FROM one:1\nLABEL turn=2\n", "t=again:1", "again:1")
    yield _build("ran", "FROM base:1\nRUN echo hi > /hi\nCMD x\n", "t=ran:1", "ran:1")
    yield _build("left", "FROM base:1\nRUN echo no > /no; exit 3\n", "t=fails:1", "")
