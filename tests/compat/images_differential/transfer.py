"""Requests that bring images in and out: load, import, save; and archives that lie."""

import bz2
import gzip
import hashlib
import json
import lzma
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, quote_plus

from compat.images_differential.seed import SEEDED, Image, docker_archive
from support.builder import Content, Member, archive
from support.differential import Request

__all__ = ["OWN", "importing", "loading"]

_LAYER = archive({"loaded": b"loaded"})
_IMAGE = Image(["loaded:1", "ns/loaded:2"], "2011-01-01T00:00:00Z", [_LAYER], {"Labels": {"in": "load"}})
_UNTAGGED = Image([], "2011-01-02T00:00:00Z", [_LAYER])
_PARTS: dict[str, Content] = {f"{_IMAGE.id}.json": _IMAGE.bytes, "layer.tar": _LAYER}


def _tar(members: Mapping[str, Content]) -> bytes:
    return archive(members)


def _with(manifest: object, **members: Content) -> bytes:
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    return archive(_PARTS | members | {"manifest.json": text})


def _entry(**changes: object) -> dict[str, object]:
    return {"Config": f"{_IMAGE.id}.json", "RepoTags": ["lie:1"], "Layers": ["layer.tar"], **changes}


_OTHER = hashlib.sha256(b"other").hexdigest()
_LYING = Image(
    ["lie:1"],
    "2011-01-01T00:00:00Z",
    [_LAYER],
    document={"rootfs": {"type": "layers", "diff_ids": [f"sha256:{_OTHER}"]}},
)
_SHA512 = Image(
    ["lie:1"], document={"rootfs": {"type": "layers", "diff_ids": ["sha512:" + "0" * 128]}}, layers=[_LAYER]
)
_NIL = Image(document={"rootfs": {"type": "layers"}})
_WINDOWS = Image(["windows:1"], "2011-01-01T00:00:00Z", [_LAYER], document={"os": "windows"})

_BAD_ARCHIVES = {
    "empty": b"",
    "garbage": b"x" * 2000,
    "short garbage": b"x",
    "empty tar": archive({}),
    "no manifest": archive({"a": "b"}),
    "cut": docker_archive([_IMAGE])[:1500],
    "cut gzip": gzip.compress(docker_archive([_IMAGE]), mtime=0)[:200],
    "manifest is no JSON": _with("{"),
    "manifest is an object": _with({}),
    "manifest is null": _with("null"),
    "manifest is empty": _with([]),
    "manifest of nulls": _with([None]),
    "no config": _with([_entry(Config="nope.json")]),
    "config is a directory": _with([_entry(Config="d")], d=Member.directory()),
    "config is no JSON": _with([_entry(Config="c.json")], **{"c.json": "{"}),
    "config is a list": _with([_entry(Config="c.json")], **{"c.json": "[]"}),
    "config lacks rootfs": _with([_entry(Config="c.json")], **{"c.json": "{}"}),
    "config outside": _with([_entry(Config="../../../../etc/passwd")]),
    "absolute config": _with([_entry(Config="/etc/passwd")]),
    "no layer": _with([_entry(Layers=["nope.tar"])]),
    "too few layers": _with([_entry(Layers=[])]),
    "too many layers": _with([_entry(Layers=["layer.tar", "layer.tar"])]),
    "layer outside": _with([_entry(Layers=["../../../../etc/passwd"])]),
    "layer is a link outside": _with([_entry(Layers=["l"])], l=Member.symlink("/etc/passwd")),
    "config is a link outside": _with([_entry(Config="l")], l=Member.symlink("../../../../../../etc/passwd")),
    "layer is no tar": _with([_entry(Layers=["x.tar"])], **{"x.tar": b"x" * 600}),
    "digest mismatch": docker_archive([_LYING]),
    "digest of another algorithm": docker_archive([_SHA512]),
    "upper case name": _with([_entry(RepoTags=["BAD:1"])]),
    "name without a tag": _with([_entry(RepoTags=["lie"])]),
    "name with a digest": _with([_entry(RepoTags=[f"lie@sha256:{_OTHER}"])]),
    "name is a number": _with([_entry(RepoTags=[1])]),
    "windows": docker_archive([_WINDOWS]),
    "member above": archive(_PARTS | {"../above": "x", "manifest.json": json.dumps([_entry()])}),
    "link outside": archive(_PARTS | {"out": Member.symlink("/etc"), "out/passwd": "x", "manifest.json": "[]"}),
}
_GOOD_ARCHIVES = {
    "plain": docker_archive([_IMAGE]),
    "gzip": gzip.compress(docker_archive([_IMAGE]), mtime=0),
    "bzip2": bz2.compress(docker_archive([_IMAGE])),
    "xz": lzma.compress(docker_archive([_IMAGE])),
    "again": docker_archive([_IMAGE]),
    "untagged": docker_archive([_UNTAGGED]),
    "several": docker_archive([_UNTAGGED, _IMAGE, SEEDED["one"]]),
    "links": _with([_entry(Layers=["l.tar"])], **{"l.tar": Member.symlink("layer.tar")}),
    "compressed layer": _with([_entry(Layers=["l.gz"])], **{"l.gz": gzip.compress(_LAYER, mtime=0)}),
    "dotted names": _tar(
        {f"./{name}": data for name, data in _PARTS.items()} | {"./manifest.json": json.dumps([_entry()])}
    ),
    "null layers": _tar(
        {"c.json": _NIL.bytes, "manifest.json": '[{"Config":"c.json","RepoTags":["nil:1"],"Layers":null}]'}
    ),
}


def loading() -> Iterator[Request]:
    """Archives, good and bad; what is left of each shows in the list."""
    for case, body in _BAD_ARCHIVES.items():
        yield Request(f"bad: {case}", "POST", "/v1.41/images/load?quiet=1", body)
        yield Request(
            f"list after bad: {case}",
            "GET",
            "/v1.41/images/json?filters=%7B%22reference%22:[%22lie%22,%22BAD%22,%22windows%22]%7D",
        )
    yield Request("list after the bad ones", "GET", "/v1.41/images/json?all=1")
    for case, body in _GOOD_ARCHIVES.items():
        yield Request(f"good: {case}", "POST", "/v1.41/images/load?quiet=1", body)
        yield Request(f"list after good: {case}", "GET", "/v1.41/images/json")
    yield Request("inspect", "GET", "/v1.41/images/loaded:1/json")
    yield Request("history", "GET", "/v1.41/images/loaded:1/history")
    yield Request("quiet=0, known", "POST", "/v1.41/images/load?quiet=0", docker_archive([_IMAGE]))
    yield Request("at 1.22", "POST", "/v1.22/images/load", docker_archive([_IMAGE]))
    yield Request("at 1.22, garbage", "POST", "/v1.22/images/load", b"x" * 600)
    yield Request("get one", "GET", "/v1.41/images/loaded:1/get")
    yield Request("get two names", "GET", "/v1.41/images/get?names=loaded:1&names=ns/loaded:2&names=one:1")
    yield Request("get by id", "GET", f"/v1.41/images/{_IMAGE.id}/get")
    yield Request("get a repository", "GET", "/v1.41/images/two/get")
    for name in (_IMAGE.id, _UNTAGGED.id, "lie:1", "nil:1"):
        yield Request(f"delete {name[:12]}", "DELETE", f"/v1.41/images/{name}?force=1")
    yield Request("list at the end", "GET", "/v1.41/images/json?all=1")


_TAR = _tar({"imported": "i" * 5, "bin/x": Member(b"x", mode=0o755)})
_CHANGES = (
    *(
        "CMD x",
        'CMD ["x","y"]',
        "ENV A=1 B=2",
        "ENV A 1",
        "ENTRYPOINT x",
        "EXPOSE 80 90/udp",
        "LABEL a=b c=d",
        "USER me",
    ),
    *(
        "VOLUME /v",
        'VOLUME ["/v","/w"]',
        "WORKDIR /w",
        "WORKDIR rel",
        "ONBUILD RUN x",
        "STOPSIGNAL INT",
        "STOPSIGNAL x",
    ),
    *("HEALTHCHECK CMD true", "HEALTHCHECK NONE", 'SHELL ["a"]', "MAINTAINER me", "RUN x", "FROM x", "COPY a b", "foo"),
    *(
        "ADD a b",
        "ARG A",
        "",
        " ",
        "ENV",
        "ENV A",
        "EXPOSE x",
        "LABEL",
        "CMD",
        "cmd lower",
        "EXPOSE 1-3",
        "foo bar",
        "# x",
    ),
    *("CMD a\nENV B=1", "ENV A=$HOME", "LABEL a", "EXPOSE 70000", "WORKDIR", "USER", 'CMD ["x"', "ONBUILD FROM x"),
)
# Left out is `repo=sha256`: refused by both, but the engine keeps the image without a name.
_IMPORTS = (
    *("repo=imp&tag=1", "repo=imp", "repo=imp:3", "repo=imp:3&tag=4", "", "tag=1", "repo=BAD", "repo=imp&tag=b%20d"),
    *(
        "repo=imp&message=hello+%3C%26%3E",
        "repo=imp&message=",
        "repo=imp@sha256:__one__",
        "repo=scratch",
    ),
    *("repo=imp&platform=linux/amd64", "repo=imp&platform=foo/bar/baz/qux", "repo=imp&platform=", "repo=__one__"),
)


def _subject(query: str) -> str:
    """Return what an import with `query` makes, if it makes anything."""
    values = dict(parse_qsl(query))
    repository, _, tag = values.get("repo", "").partition(":")
    return f"{repository or 'none'}:{values.get('tag') or tag or 'latest'}"


def importing() -> Iterator[Request]:
    """Imports: names, messages, changes, bodies; other uses of the endpoint as far as no registry is asked."""
    for number, query in enumerate(_IMPORTS):
        target = f"/v1.41/images/create?fromSrc=-&{query}"
        yield Request(f"import {query}", "POST", target, _TAR, learn=f"imp-{number}", subject=_subject(query))
    yield Request("list", "GET", "/v1.41/images/json")
    for change in _CHANGES:
        target = f"/v1.41/images/create?fromSrc=-&repo=chg&changes={quote_plus(change)}"
        yield Request(f"changes {change!r}".replace("[", "("), "POST", target, _TAR)
        yield Request(f"inspect changes {change!r}".replace("[", "("), "GET", "/v1.41/images/chg/json")
    several = "&".join(f"changes={quote_plus(change)}" for change in ("ENV A=1", "ENV B=2", "CMD x", "LABEL l=m"))
    yield Request("several changes", "POST", f"/v1.41/images/create?fromSrc=-&repo=chg&{several}", _TAR)
    yield Request("inspect several changes", "GET", "/v1.41/images/chg/json")
    yield Request("history of several changes", "GET", "/v1.41/images/chg/history")
    bodies = {
        "empty": b"",
        "garbage": b"x" * 600,
        "short garbage": b"x",
        "empty tar": archive({}),
        "gzip": gzip.compress(_TAR, mtime=0),
        "xz": lzma.compress(_TAR),
        "bzip2": bz2.compress(_TAR),
        "cut": _TAR[:700],
        "cut gzip": gzip.compress(_TAR, mtime=0)[:60],
        "member above": archive({"../above": "x", "fine": "y"}),
        "absolute member": archive({"/absolute": "x"}),
    }
    for case, body in bodies.items():
        yield Request(f"body {case}", "POST", "/v1.41/images/create?fromSrc=-&repo=bodied", body)
        yield Request(f"inspect body {case}", "GET", "/v1.41/images/bodied/json")
        yield Request(f"delete body {case}", "DELETE", "/v1.41/images/bodied")
    yield Request("scratch", "POST", "/v1.41/images/create?fromImage=scratch")
    yield Request("bad name", "POST", "/v1.41/images/create?fromImage=BAD")
    yield Request("bad tag", "POST", "/v1.41/images/create?fromImage=x&tag=b%20d")
    yield Request("bad address", "POST", "/v1.41/images/create?fromSrc=ftp://x/y&repo=u")
    yield Request("import at 1.22", "POST", "/v1.22/images/create?fromSrc=-&repo=BAD", _TAR)
    yield Request("by another method", "GET", "/v1.41/images/create?fromSrc=-&repo=x")
    for name in ("imp:1", "imp", "imp:3", "imp:4", "chg", "scratch"):
        yield Request(f"delete {name}", "DELETE", f"/v1.41/images/{name}")
    yield Request("list at the end", "GET", "/v1.41/images/json")


OWN: Mapping[str, Image] = {"loaded": _IMAGE, "untagged": _UNTAGGED, "windows": _WINDOWS, "nil": _NIL}
"""The images that these requests load, by name."""
