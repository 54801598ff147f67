"""Requests about the engine as a whole: routes, versions, disk usage, events, prune, containers of builds."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from compat.images_differential.listing import filters
from compat.images_differential.seed import Image, docker_archive
from support.builder import archive, context
from support.differential import ById, Request, Unordered

__all__ = ["OWN", "committing", "containers", "disk_usage", "events", "pruning", "routes"]

_PATHS = (
    *("/_ping", "/version", "/images/json", "/images/one:1/json", "/images/nope/json", "/nope", "/", "/images"),
    *(
        "/images/",
        "/images/json/",
        "/images//json",
        "/./images/json",
        "/images/../images/json",
        "/build",
        "/images/prune",
    ),
    *(
        "/images/load",
        "/images/create",
        "/images/get",
        "/containers/json",
        "/events/",
        "/system",
        "/system/df/",
        "/_ping/",
    ),
    *("/imagesjson", "/images/one:1", "/images/one:1/nope", "/images/a/b/c/json", "/Images/json", "/images/JSON"),
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
# These wait, or change what there is.
_LEFT_OUT = {
    *(("POST", "/images/load"), ("POST", "/images/create"), ("POST", "/build"), ("POST", "/images/prune")),
    *(("DELETE", "/images/one:1"), ("DELETE", "/images/json")),
}
_VERSIONS = (
    *("v1.42", "v1.51", "v1.52", "v1.99", "v2.0", "v99", "v1.11", "v1.12", "v1.20", "v1.21", "v1.22", "v1.23", "v1.24"),
    *(
        "v1",
        "v0",
        "v0.1",
        "v1.",
        "v.1",
        "v",
        "vfoo",
        "v1.x",
        "V1.41",
        "v1.41.0",
        "v1.41.1",
        "v01.41",
        "v1.041",
        "v1..41",
    ),
    *("v1.41/v1.41", "v-1", "v1.4a", "v99999999999999999999.1", "v1.99999999999999999999", "1.41", "v1%2e41"),
)


def routes() -> Iterator[Request]:
    """Paths, methods and versions that there are, and that there are not."""
    for path in _PATHS:
        for method in _METHODS:
            if (method, path) not in _LEFT_OUT:
                yield Request(f"{method} {path}", method, f"/v1.41{path}")
                if path in {"/_ping", "/images/json", "/nope"}:
                    yield Request(f"{method} {path} without a version", method, path)
    for path in ("/_ping", "/images/json", "/nope"):
        yield Request(f"unknown method {path}", "FOO", f"/v1.41{path}")
    for version in _VERSIONS:
        for path in ("/images/json", "/nope", "/_ping", "/images/nope/json"):
            yield Request(f"{version} {path}", "GET", f"/{version}{path}")
    for name, headers in _HEADERS.items():
        yield Request(f"header {name}", "GET", "/v1.41/images/json", headers=headers)
    yield Request("a body with GET", "GET", "/v1.41/images/json", b'{"all":true}', {"Content-Type": "application/json"})


_HEADERS: Mapping[str, Mapping[str, str]] = {
    "Accept": {"Accept": "text/html"},
    "Origin": {"Origin": "http://evil.example"},
    "Host": {"Host": "docker"},
    "Range": {"Range": "bytes=0-10"},
    "If-Modified-Since": {"If-Modified-Since": "Wed, 21 Oct 2099 07:28:00 GMT"},
    "Content-Type": {"Content-Type": "nonsense"},
    "Connection": {"Connection": "close"},
}


def disk_usage() -> Iterator[Request]:
    """What the images take, at every version."""
    for version in ("1.25", "1.30", "1.41"):
        yield Request(f"df {version}", "GET", f"/v{version}/system/df", view=_without_volumes)
    for query in ("type=image", "type=nope", "verbose=1", "unknown=1"):
        yield Request(f"df {query}", "GET", f"/v1.41/system/df?{query}", view=_without_volumes)
    yield Request("df at 1.22", "GET", "/v1.22/system/df", view=_without_volumes)
    yield Request("df by POST", "POST", "/v1.41/system/df")
    for minor in range(42, 52):
        yield Request(f"df 1.{minor}", "GET", "/v1.41/system/df", ours=f"/v1.{minor}/system/df", view=_without_volumes)
    # What newer lists say of sizes, df of every version says too.
    for version in ("/v1.42", "/v1.51", ""):
        target = f"{version}/images/json?shared-size=1"
        yield Request(f"shared sizes {version}", "GET", "/v1.41/system/df", ours=target, view=_shared)


def _shared(body: Any) -> Any:
    images = body["Images"] if isinstance(body, dict) and "Images" in body else body
    if not isinstance(images, list):
        return body
    return ById({entry["Id"]: {name: entry[name] for name in ("Id", "SharedSize", "Size")} for entry in images})


def _without_volumes(body: Any) -> Any:
    """The images by id, and containers without how they are connected: that is running them."""
    if not isinstance(body, dict) or "Images" not in body:
        return body
    entries = body.get("Images") or []
    containers = [_still(entry) for entry in body.get("Containers") or []]
    return {**body, "Images": ById({entry["Id"]: entry for entry in entries}), "Containers": containers}


def _still(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in {"HostConfig", "NetworkSettings"}}


_CONTAINER_FILTERS: tuple[Any, ...] = (
    *({"status": ["exited"]}, {"status": ["running"]}, {"status": ["nope"]}, {"exited": ["3"]}, {"exited": ["0"]}),
    *(
        {"exited": ["x"]},
        {"label": ["x"]},
        {"name": ["nope"]},
        {"id": ["nope"]},
        {"nope": ["x"]},
        {"ancestor": ["base:1"]},
    ),
)


def containers() -> Iterator[Request]:
    """What builds left."""
    for query in ("", "all=1", "all=0", "all=True", "all=1&limit=1", "limit=1", "limit=0", "limit=-1", "limit=x"):
        yield Request(f"list {query}", "GET", f"/v1.41/containers/json?{query}", view=_containers)
    for document in _CONTAINER_FILTERS:
        query = f"all=1&filters={quote(json.dumps(document))}"
        yield Request(
            f"list {json.dumps(document)}".replace("[", "("), "GET", f"/v1.41/containers/json?{query}", view=_containers
        )
    for text in ("{", "[]", "x", '{"status":1}'):
        yield Request(f"list {text}".replace("[", "("), "GET", f"/v1.41/containers/json?all=1&filters={quote(text)}")
    for name in ("nope", "0" * 64, "a b", "..", "UPPER"):
        for method, path in (("GET", f"{quote(name)}/json"), ("DELETE", quote(name))):
            yield Request(f"{method} {path}", method, f"/v1.41/containers/{path}")
            yield Request(f"1.22 {method} {path}", method, f"/v1.22/containers/{path}")
    for name in ("__left__", "__left.12__", "__left.30__"):
        yield Request(f"inspect {name}", "GET", f"/v1.41/containers/{name}/json", view=_inspected)
        yield Request(f"1.22 inspect {name}", "GET", f"/v1.22/containers/{name}/json", view=_inspected)
    for document in ({"id": ["__left.12__"]}, {"id": ["__left__", "nope"]}, {"id": ["x"]}):
        query = f"all=1&filters={quote(json.dumps(document))}"
        case = f"list id {len(document['id'])} {document['id'][0]}"
        yield Request(case, "GET", f"/v1.41/containers/json?{query}", view=_containers)


# Left out are bad names: the engine refuses them only when the image is there, and keeps it.
_COMMITS = (
    *("repo=committed", "repo=committed&tag=2", "repo=committed:3&tag=4", "", "repo=committed&changes=foo"),
    *("repo=committed&comment=hello&author=Me+%3Cme%3E", "repo=committed&pause=0", "repo=committed&changes=ENV+B=2"),
    *("repo=committed&changes=CMD+x&changes=LABEL+a=b", "repo=committed&changes=RUN+x", "repo=scratch"),
)
# Left out: a configuration that says something, which imagewright refuses.
_CONFIGS = (b"", b"{}", b"null", b"{", b"[]")


def committing() -> Iterator[Request]:
    """Images from what a failed step left; then it goes."""
    body = context("FROM base:1\nENV A=1\nLABEL group=commit k=v\nRUN echo left > /left; rm /bin/vi; exit 4\n")
    yield Request("build", "POST", "/v1.41/build?t=fails:2", body, learn="failed")
    yield Request("list of containers", "GET", "/v1.41/containers/json?all=1", view=_containers)
    for number, query in enumerate(_COMMITS):
        target = f"/v1.41/commit?container=__failed__&{query}"
        subject = f"committed:{2 if 'tag=2' in query else 4 if 'tag=4' in query else 'latest'}"
        yield Request(f"commit {query}", "POST", target, b"{}", _JSON, learn=f"commit-of-{number}", subject=subject)
        yield Request(f"inspect after {query}", "GET", f"/v1.41/images/{subject}/json")
        yield Request(f"history after {query}", "GET", f"/v1.41/images/{subject}/history")
    for config in _CONFIGS:
        target = "/v1.41/commit?container=__failed.12__&repo=committed"
        yield Request(f"commit of {config!r}".replace("[", "("), "POST", target, config, _JSON)
        yield Request(f"inspect after {config!r}".replace("[", "("), "GET", "/v1.41/images/committed/json")
    yield Request("commit without a type", "POST", "/v1.41/commit?container=__failed__&repo=committed", b"{}")
    yield Request("commit of none", "POST", "/v1.41/commit?container=nope&repo=committed", b"{}", _JSON)
    yield Request("commit without a container", "POST", "/v1.41/commit?repo=committed", b"{}", _JSON)
    yield Request("commit at 1.22", "POST", "/v1.22/commit?container=nope", b"{}", _JSON)
    for name in ("committed", "committed:2", "committed:4", "scratch"):
        yield Request(f"delete {name}", "DELETE", f"/v1.41/images/{name}")
    for number, query in enumerate(("", "", "?force=1", "?v=1", "?link=1")):
        yield Request(f"delete container {number}", "DELETE", f"/v1.41/containers/__failed.12__{query}")
    yield Request("list before prune", "GET", f"/v1.41/images/json?all=1&{filters(label=['group=commit'])}")
    yield Request("prune", "POST", f"/v1.41/images/prune?{filters(label=['group=commit'])}", view=_pruned)
    yield Request("list at the end", "GET", "/v1.41/images/json?all=1")
    yield Request("list of containers at the end", "GET", "/v1.41/containers/json?all=1", view=_containers)


def _inspected(body: Any) -> Any:
    """What there is to say of a container that nobody runs: the rest is about running it."""
    if not isinstance(body, dict) or "State" not in body:
        return body
    kept = ("Id", "Created", "Path", "Args", "Image", "Name", "RestartCount", "Driver", "Platform")
    state = {name: body["State"].get(name) for name in ("Status", "Running", "ExitCode", "Dead", "Error")}
    config = {name: body["Config"].get(name) for name in ("Hostname", "Image", "Env", "Labels", "Cmd", "WorkingDir")}
    return {**{name: body.get(name) for name in kept}, "State": state, "Config": config}


_JSON = {"Content-Type": "application/json"}


def _containers(body: Any) -> Any:
    return [_still(entry) for entry in body] if isinstance(body, list) else body


_EVENT_LAYER = archive({"event": "event"})
_EVENT_IMAGE = Image(["happening:1"], "2012-01-01T00:00:00Z", [_EVENT_LAYER], {"Labels": {"seen": "yes"}})
_EVENT_FILTERS: tuple[Any, ...] = (
    *(
        {"type": ["image"]},
        {"event": ["tag"]},
        {"event": ["tag", "untag"], "type": ["image"]},
        {"image": ["happening:1"]},
    ),
    *(
        {"label": ["seen"], "type": ["image"]},
        {"type": ["builder"]},
        {"nope": ["x"]},
        {"image": ["nope"]},
        {"image": ["happening"]},
    ),
    *(
        {"type": ["image"], "label": ["seen=yes"]},
        {"type": ["image"], "label": ["seen=no"]},
        {"type": ["nope"]},
        {"scope": ["local"]},
    ),
    *(
        {"type": ["image"], "scope": ["swarm"]},
        {"daemon": ["x"]},
        {"container": ["x"]},
        {"type": ["image"], "event": ["nope"]},
    ),
)


def events() -> Iterator[Request]:
    """Things happen; then the past is asked for."""
    yield Request("load", "POST", "/v1.41/images/load?quiet=1", docker_archive([_EVENT_IMAGE]), mark="start")
    yield Request("tag", "POST", "/v1.41/images/happening:1/tag?repo=happened&tag=2")
    yield Request("get", "GET", "/v1.41/images/happening:1/get")
    yield Request("untag", "DELETE", "/v1.41/images/happening:1")
    yield Request(
        "import",
        "POST",
        "/v1.41/images/create?fromSrc=-&repo=happened&tag=3",
        _EVENT_LAYER,
        learn="happened",
        subject="happened:3",
    )
    yield Request(
        "build",
        "POST",
        "/v1.41/build?t=happened:4",
        context("FROM happened:3\nLABEL seen=yes\n"),
        learn="built",
        subject="happened:4",
    )
    yield Request("prune", "POST", f"/v1.41/images/prune?{filters(label=['nope'])}")
    for name in ("happened:2", "happened:4", "happened:3"):
        yield Request(f"delete {name}", "DELETE", f"/v1.41/images/{name}")
    yield Request("all", "GET", "/v1.41/events?since=__start__&until=__end__", mark="end", view=_events)
    for document in _EVENT_FILTERS:
        target = f"/v1.41/events?since=__start__&until=__end__&filters={quote(json.dumps(document))}"
        yield Request(json.dumps(document).replace("[", "("), "GET", target, view=_events)
    for query in ("since=x&until=1", "since=1&until=x", "since=2&until=1", "since=1&until=1", "since=0&until=1"):
        yield Request(query, "GET", f"/v1.41/events?{query}", view=_events)
    for text in ("{", "[]", "x", '{"type":1}'):
        yield Request(
            f"filters {text}".replace("[", "("), "GET", f"/v1.41/events?since=1&until=2&filters={quote(text)}"
        )
    yield Request("at 1.22", "GET", "/v1.22/events?since=x&until=1")


# An engine that runs containers tells of their start and end, and of their networks.
_RUNNING = {"container", "network"}


def _events(body: Any) -> Any:
    entries = [body] if isinstance(body, dict) and "Action" in body else body
    if not isinstance(entries, list):
        return body
    return [entry for entry in entries if entry.get("Type") not in _RUNNING]


_PRUNED = {
    **{
        f"pruned-{year}": Image(
            [], f"20{year}-01-01T00:00:00Z", [archive({str(year): "p" * year})], {"Labels": {"prune": str(year)}}
        )
        for year in (10, 11, 12, 13)
    },
    "pruned-tagged": Image(
        ["unused:1"], "2010-06-01T00:00:00Z", [archive({"unused": "u" * 100})], {"Labels": {"prune": "t"}}
    ),
}


def pruning() -> Iterator[Request]:
    """What prune takes, filter by filter; last of all without one."""
    # The engine prunes an image without a configuration whatever the label filter says.
    yield Request("delete null:config", "DELETE", "/v1.41/images/null:config")
    yield Request("load", "POST", "/v1.41/images/load?quiet=1", docker_archive(list(_PRUNED.values())))
    bad: tuple[Any, ...] = (
        # Left out: an empty list of until ends the engine's handler, both values of dangling take turns.
        *({"foo": ["x"]}, {"dangling": ["x"]}, {"until": ["x"]}, {"until": ["1h", "2h"]}, {"until": [""]}),
        *({"reference": ["x"]}, {"before": ["one:1"]}, {"since": ["one:1"]}),
    )
    for document in bad:
        yield Request(
            f"bad {json.dumps(document)}".replace("[", "("),
            "POST",
            f"/v1.41/images/prune?filters={quote(json.dumps(document))}",
        )
    for text in ("{", "[]", "x", '{"dangling":1}', '{"dangling":"true"}'):
        yield Request(f"bad {text}".replace("[", "("), "POST", f"/v1.41/images/prune?filters={quote(text)}")
        yield Request(f"bad at 1.25 {text}".replace("[", "("), "POST", f"/v1.25/images/prune?filters={quote(text)}")
    good: tuple[Any, ...] = (
        *(
            {"label": ["nope"]},
            {"label": ["prune=10"]},
            {"label": ["prune=11", "prune"]},
            {"until": ["2012-06-01"], "label": ["prune"]},
        ),
        *({"dangling": ["false"], "label": ["nope=1"]}, {"label!": ["k", "prune"], "label": ["nope"]}),
        *({"dangling": ["true"], "label": ["prune"]}, {"dangling": ["false"], "label": ["prune=t"]}),
    )
    for document in good:
        yield Request(
            json.dumps(document).replace("[", "("),
            "POST",
            f"/v1.41/images/prune?filters={quote(json.dumps(document))}",
            view=_pruned,
        )
        yield Request(f"list after {json.dumps(document)}".replace("[", "("), "GET", "/v1.41/images/json?all=1")
    yield Request("everything", "POST", "/v1.41/images/prune", view=_pruned)
    yield Request("list after everything", "GET", "/v1.41/images/json?all=1")
    yield Request("again", "POST", "/v1.41/images/prune")
    yield Request("build prune", "POST", "/v1.41/build/prune")
    yield Request("df", "GET", "/v1.41/system/df", view=_without_volumes)
    yield Request("all unused", "POST", f"/v1.41/images/prune?{filters(dangling=['false'])}", view=_pruned)
    yield Request("list after all unused", "GET", "/v1.41/images/json?all=1")


def _pruned(body: Any) -> Any:
    """The engine prunes in no order."""
    if not isinstance(body, dict) or not body.get("ImagesDeleted"):
        return body
    return {**body, "ImagesDeleted": Unordered(body["ImagesDeleted"])}


OWN: Mapping[str, Image] = {"happening": _EVENT_IMAGE, **_PRUNED}
"""The images that these requests load, by name."""
