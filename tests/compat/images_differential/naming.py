"""Requests about one image by name: inspect, history, tag, delete, save; and how names resolve."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote

from compat.images_differential.seed import SEEDED, Image, docker_archive, prefix_of_two
from support.builder import archive, context
from support.differential import Request

__all__ = ["OWN", "deleting", "naming", "tagging"]

_GOOD = (
    *("one:1", "library/one:1", "docker.io/one:1", "docker.io/library/one:1", "index.docker.io/one:1", "two:2"),
    *("index.docker.io/library/one:1", "ns/two:1", "docker.io/ns/two:1", "localhost:5000/two:1", "undated"),
    *(
        "docker.io/undated",
        "__one__",
        "sha256:__one__",
        "__one.12__",
        "sha256:__one.12__",
        "__one.63__",
        "__loose.20__",
    ),
    *("sha256:__loose__", "deep.example:8443/a/b/c:tag_1.2-3", "__child-1__", "again:1", "__grand__", "ran:1"),
    *SEEDED,
    *(tag for image in SEEDED.values() for tag in image.tags),
)
_BAD = (
    *("nope", "nope:1", "one", "one:nope", "two", "ns/nope", "localhost:5000/nope", "docker.io/nope", "library/nope:3"),
    *(
        "UPPER",
        "ns/UPPER:1",
        "one:1:2",
        "one@sha256:__one__",
        "one:1@sha256:__one__",
        "sha256:",
        "sha256:xyz",
        "sha256",
    ),
    *("0" * 64, "sha256:" + "0" * 64, "sha256:" + "0" * 63, "sha512:" + "0" * 128, "sha256:__one__:1", "md5:__one__"),
    *("../one", "..", "...", "one/..", "./one:1", "a b", "one:", "one:1/", "/one:1", "//one:1", ":1", "@", "one@", ":"),
    *("n" * 300, "n/" * 200 + "n", "one:" + "t" * 129, "\u00fc", "\x00", "a\nb", "-one", "one-", "on__e", "one..two"),
    *(
        "one:.tag",
        "one:-tag",
        "host.example:port/x",
        "localhost:99999/x",
        "[::1]:5000/x",
        "http://one",
        "https://x/y:1",
    ),
    *("%", "<none>", "<none>:<none>", "<none>@<none>", "one,two", "one;two", "one?two", "one#two", "*", "o*e:1", "on"),
    *(prefix_of_two(), f"sha256:{prefix_of_two()}", "__one.12__x", "g" * 12, "scratch", "docker.io", "docker.io/"),
    *("__one__:1", "__one.12__:1", "ONE:1", "one@sha256:abc", "one@sha256:" + "0" * 64, "x@sha512:" + "0" * 128),
)
_GET = ("json", "history", "get")


def _quoted(name: str) -> str:
    # Slashes are part of names, and of paths.
    return quote(name, safe="/:@")


def naming() -> Iterator[Request]:
    """Every form of name, for each request that only reads."""
    for name in dict.fromkeys((*_GOOD, *_BAD)):
        for what in _GET:
            yield Request(f"{what} {name}", "GET", f"/v1.41/images/{_quoted(name)}/{what}")
    for name in ("one:1", "two:2", "__two.12__", "nope", "UPPER", "one:1&names=two:1", "two", "one:1&names=nope", ""):
        yield Request(f"get names={name}", "GET", f"/v1.41/images/get?names={name}")
    yield Request("get without names", "GET", "/v1.41/images/get")
    for name in ("nope", "UPPER", "one:1", "a b", "full:1"):
        for what in _GET:
            yield Request(f"1.22 {what} {name}", "GET", f"/v1.22/images/{_quoted(name)}/{what}")
    for slash in ("one%2f..", "ns%2Ftwo:1", "..%2f..%2fetc", "one%3A1"):
        for what in _GET:
            yield Request(f"{what} escaped {slash}", "GET", f"/v1.41/images/{slash}/{what}")


_TAGS = (
    *("repo=t1", "repo=t1&tag=2", "repo=t1:3", "repo=x/y:3&tag=4", "repo=t1&tag=", "repo=t1&tag=2&force=1"),
    *("repo=docker.io/library/t2&tag=1", "repo=index.docker.io/t2&tag=2", "repo=localhost:5000/t1&tag=1"),
    *("", "repo=", "tag=1", "repo=BAD", "repo=t1&tag=b%20d", "repo=t1&tag=-x", "repo=t1&tag=.x", "repo=sha256"),
    *("repo=t1&tag=" + "t" * 128, "repo=t1&tag=" + "t" * 129, "repo=sha256&tag=1", "repo=sha256:x", "repo=ns/sha256"),
    *("repo=t1@sha256:__one__", "repo=t1@sha256:__one__&tag=1", "repo=__one__", "repo=__one.12__", "repo=scratch"),
    *("repo=" + "n" * 255, "repo=" + "n" * 256, "repo=../x", "repo=x/../y", "repo=t1/", "repo=/t1", "repo=a%20b"),
    *("repo=t1:1:2", "repo=%zz", "repo=t1;tag=2", "repo=sha512&tag=1", "repo=md5&tag=1", "repo=docker.io/sha256"),
    *("repo=docker.io", "repo=localhost", "repo=localhost/x", "repo=T.example/x", "repo=t1&tag=%00", "repo=t1&tag=ü"),
)


OWN: Mapping[str, Image] = {
    label: Image([], "2010-01-01T00:00:00Z", [archive({label: label})], {"Labels": {"group": label}})
    for label in ("tagged", "d1", "d2", "d3", "d4", "d5")
}
"""The images that these requests load, by name; tags are no part of what an image is."""


def _loaded(label: str, *tags: str) -> Request:
    image = replace(OWN[label], tags=tags)
    return Request(f"load {label}", "POST", "/v1.41/images/load?quiet=1", docker_archive([image]))


def _built(label: str, dockerfile: str, tags: str, subject: str, parameters: str = "") -> Request:
    body = context(dockerfile, {"x": label})
    return Request(f"build {label}", "POST", f"/v1.41/build?{tags}{parameters}", body, learn=label, subject=subject)


def tagging() -> Iterator[Request]:
    """Every form of new name, and what inspect and list show afterwards."""
    yield _loaded("tagged", "tagged:1")
    for number, query in enumerate(_TAGS):
        yield Request(f"tag {query}", "POST", f"/v1.41/images/tagged:1/tag?{query.replace('ü', '%C3%BC')}")
        if number % 8 == 0:
            yield Request(f"inspect after {query}", "GET", "/v1.41/images/tagged:1/json")
    for name in ("nope", "UPPER", "sha256:" + "0" * 64, "__one.12__", "tagged:1", "a b", "../x"):
        yield Request(f"tag of {name}", "POST", f"/v1.41/images/{_quoted(name)}/tag?repo=t9&tag=9")
    yield Request("tag by another method", "GET", "/v1.41/images/tagged:1/tag?repo=t9")
    yield Request("tag with a body", "POST", "/v1.41/images/tagged:1/tag?repo=t3", b'{"repo":"other"}')
    yield Request("tag at 1.22", "POST", "/v1.22/images/tagged:1/tag?repo=BAD")
    yield Request("tag moves", "POST", "/v1.41/images/one:1/tag?repo=t1&tag=2")
    yield Request("list", "GET", "/v1.41/images/json")
    yield Request("delete by short id", "DELETE", "/v1.41/images/t1:2")
    for tag in ("t3", "t9:9", "t1:3", "nope:1"):
        yield Request(f"delete {tag}", "DELETE", f"/v1.41/images/{tag}")
    yield Request("delete the rest", "DELETE", "/v1.41/images/__tagged__?force=1")
    yield Request("list at the end", "GET", "/v1.41/images/json?all=1")


def _delete(target: str, case: str = "") -> Request:
    return Request(case or f"delete {target}", "DELETE", f"/v1.41/images/{target}")


_STATE = Request("list", "GET", "/v1.41/images/json?all=1")


def deleting() -> Iterator[Request]:
    """Untag and delete, with parents, conflicts, force and noprune; the list after each tells what is left."""
    for name in dict.fromkeys(_BAD):
        yield _delete(_quoted(name), f"delete bad {name}")
    yield Request("delete at 1.22", "DELETE", "/v1.22/images/nope")
    yield Request("delete blank", "DELETE", "/v1.41/images/")
    steps: tuple[tuple[str, Request | tuple[str, ...]], ...] = (
        # One image, two names of one repository, then by id.
        ("names", _loaded("d1", "d1:1", "d1:2")),
        ("names", ("d1:1", "d1:1", "__d1.12__", "d1:2")),
        # Several repositories: a conflict, forced.
        ("repositories", _loaded("d2", "d2:1", "other/d2:1", "localhost:5000/d2:1")),
        ("repositories", ("__d2.12__", "sha256:__d2__", "__d2__?force=1")),
        # One repository by id: all its names go.
        ("one repository", _loaded("d3", "d3:1", "d3:2")),
        ("one repository", ("__d3.12__",)),
        ("no name", _loaded("d4")),
        ("no name", ("__d4__",)),
        # Parents: kept with noprune, taken along without.
        ("parents", _built("p1", "FROM one:1\nLABEL p=1\nCOPY x /p1\nENV P=1\n", "t=p1:1", "p1:1")),
        ("parents", ("__p1-1__", "__p1-1__?force=1", "p1:1?noprune=1", "__p1-1__?noprune=true", "__p1-2__")),
        ("pruned", _built("p2", "FROM one:1\nLABEL p=2\nCOPY x /p2\nENV P=2\n", "t=p2:1", "p2:1")),
        ("pruned", ("p2:1",)),
        # A tagged parent stays.
        ("tagged parent", _built("p3", "FROM one:1\nLABEL p=3\nCOPY x /p3\n", "t=p3:1", "p3:1")),
        ("tagged parent", _built("p4", "FROM p3:1\nENV P=4\n", "t=p4:1", "p4:1")),
        ("tagged parent", ("__p3.12__", "__p3.12__?force=1", "p4:1", "p3:1")),
        # An untagged parent with a child.
        ("untagged parent", _built("p5", "FROM one:1\nLABEL p=5\n", "t=p5:1", "p5:1")),
        ("untagged parent", _built("p6", "FROM p5:1\nENV P=6\n", "t=p6:1", "p6:1")),
        ("untagged parent", ("p5:1", "__p5.12__", "__p5.12__?force=1", "p6:1?force=1")),
        # A container that a failed step left.
        ("container", _built("p7", "FROM base:1\nLABEL p=7\n", "t=p7:1", "p7:1")),
        ("container", _built("p7-failing", "FROM p7:1\nRUN exit 9\n", "t=p7:2", "p7:2")),
        ("container", ("p7:1", "__p7.12__", "p7:1?force=1", "__p7.12__", "__p7.12__?force=1")),
        # By a reference with several names, forced.
        ("forced name", _loaded("d5", "d5:1", "d5:2", "other/d5:1")),
        ("forced name", ("d5:1?force=1", "d5:2?force=True&noprune=False", "other/d5:1?force=no", "d5:1")),
        ("in use", ("one:1?noprune=1",)),
    )
    for case, step in steps:
        if isinstance(step, Request):
            yield step
            continue
        for number, target in enumerate(step):
            yield _delete(target, f"{case} {number} {target}")
            yield Request(f"{case} {number} list", _STATE.method, _STATE.target)
    yield Request("one again", "POST", "/v1.41/images/load?quiet=1", docker_archive([SEEDED["one"]]))
