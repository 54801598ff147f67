import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from imagewright.api import wire
from imagewright.api.encoding import encode
from imagewright.api.versions import ApiVersion
from imagewright.engine import HistoryItem, ImageSummary, Pruned, Removal, StoredImage
from imagewright.oci import Healthcheck, ImageConfig, RootfsConfig, RunConfig, encode_config
from imagewright.reference import Reference
from unit.api.fake_engine import CREATED_NS, digest

SUMMARY = ImageSummary(
    id=digest("image"),
    parent=None,
    created_ns=CREATED_NS,
    size=1984172,
    tags=(),
    digests=(),
    labels=None,
    containers=2,
    shared_size=99,
    unique_size=1984073,
    last_used_ns=0,
)
V141 = ApiVersion((1, 41))


def entry(version: tuple[int, ...], **changes: Any) -> dict[str, Any]:
    return wire.image_entry(dataclasses.replace(SUMMARY, **changes), ApiVersion(version))


def stored(config: ImageConfig, **changes: Any) -> StoredImage:
    data = encode_config(config)
    image = StoredImage(
        id=digest("image"),
        config_bytes=data,
        config=config,
        parent=None,
        created_ns=CREATED_NS,
        size=10,
        tags=(),
        digests=(),
        tagged_ns=0,
        last_used_ns=0,
    )
    return dataclasses.replace(image, **changes)


def details(version: tuple[int, ...], image: StoredImage) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(encode(wire.image_details(image, ApiVersion(version), "overlay2")))
    return document


PLAIN = ImageConfig(architecture="amd64", os="linux")


def test_an_entry_of_the_list_has_exactly_these_keys() -> None:
    assert entry((1, 41), tags=("two:1",), labels={"k": "v2"}, parent=digest("parent")) == {
        "Containers": -1,
        "Created": CREATED_NS // 10**9,
        "Id": str(digest("image")),
        "Labels": {"k": "v2"},
        "ParentId": str(digest("parent")),
        "RepoDigests": None,
        "RepoTags": ("two:1",),
        "SharedSize": -1,
        "Size": 1984172,
        "VirtualSize": 1984172,
    }


@pytest.mark.parametrize(
    ("tags", "digests", "shown_tags", "shown_digests"),
    [
        (("one:1",), (), ("one:1",), None),
        (("one:1",), ("one@d",), ("one:1",), ("one@d",)),
        ((), (), ("<none>:<none>",), ("<none>@<none>",)),
        ((), ("one@d",), None, ("one@d",)),
    ],
)
@pytest.mark.parametrize("version", [(1, 21), (1, 42)])
def test_names_below_1_43(
    version: tuple[int, ...],
    tags: tuple[str, ...],
    digests: tuple[str, ...],
    shown_tags: tuple[str, ...] | None,
    shown_digests: tuple[str, ...] | None,
) -> None:
    shown = entry(version, tags=tags, digests=digests)
    assert (shown["RepoTags"], shown["RepoDigests"]) == (shown_tags, shown_digests)


def test_names_from_1_43_on_are_lists() -> None:
    shown = entry((1, 43))
    assert (shown["RepoTags"], shown["RepoDigests"]) == ((), ())


def test_gates_of_the_list() -> None:
    assert "VirtualSize" in entry((1, 43))
    assert "VirtualSize" not in entry((1, 44))
    assert entry((1, 50))["Containers"] == -1
    assert entry((1, 51))["Containers"] == 2
    assert entry((1, 51))["Labels"] is None
    assert entry((1, 51))["ParentId"] == ""


def test_what_is_counted_on_request() -> None:
    shown = wire.image_entry(SUMMARY, V141, shared=True, counted=True)
    assert (shown["SharedSize"], shown["Containers"]) == (99, 2)


def test_details_at_1_41() -> None:
    run = RunConfig(env=("A=1",), cmd=("sh",), exposed_ports={"80/tcp": {}}, healthcheck=Healthcheck(test=("NONE",)))
    config = ImageConfig(
        architecture="arm64",
        os="linux",
        variant="v8",
        created="2023-11-14T22:13:20.1Z",
        author="me",
        comment="c",
        docker_version="d",
        config=run,
        rootfs=RootfsConfig(diff_ids=(str(digest("layer")),)),
    )
    image = stored(config, tags=(Reference.parse("a:1"),), parent=digest("parent"), tagged_ns=CREATED_NS)
    shown = details((1, 41), image)
    container_config = shown.pop("ContainerConfig")
    assert shown == {
        "Id": str(image.id),
        "RepoTags": ["a:1"],
        "RepoDigests": [],
        "Parent": str(digest("parent")),
        "Comment": "c",
        "Created": "2023-11-14T22:13:20.1Z",
        "Container": "",
        "DockerVersion": "d",
        "Author": "me",
        "Config": {
            **LEGACY,
            "User": "",
            "Env": ["A=1"],
            "Cmd": ["sh"],
            "Entrypoint": None,
            "Volumes": None,
            "WorkingDir": "",
            "Labels": None,
            "OnBuild": None,
            "ExposedPorts": {"80/tcp": {}},
            "Healthcheck": {"Test": ["NONE"]},
        },
        "Architecture": "arm64",
        "Variant": "v8",
        "Os": "linux",
        "Size": 10,
        "VirtualSize": 10,
        "GraphDriver": {"Data": None, "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": [str(digest("layer"))]},
        "Metadata": {"LastTagTime": "2023-11-14T22:13:20.123456789Z"},
    }
    assert container_config == {**LEGACY, **EMPTY}


LEGACY: Mapping[str, Any] = {
    "Hostname": "",
    "Domainname": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Image": "",
}
EMPTY: Mapping[str, Any] = {
    "User": "",
    "Env": None,
    "Cmd": None,
    "Entrypoint": None,
    "Volumes": None,
    "WorkingDir": "",
    "Labels": None,
    "OnBuild": None,
}


@pytest.mark.parametrize(
    ("version", "container", "virtual_size", "legacy"),
    [
        ((1, 21), True, True, True),
        ((1, 43), True, True, True),
        ((1, 44), True, False, True),
        ((1, 45), False, False, True),
        ((1, 50), False, False, False),
        ((1, 51), False, False, False),
    ],
)
def test_gates_of_details(version: tuple[int, ...], container: bool, virtual_size: bool, legacy: bool) -> None:
    shown = details(version, stored(PLAIN))
    assert ("Container" in shown, "ContainerConfig" in shown) == (container, container)
    assert ("VirtualSize" in shown) == virtual_size
    assert shown["Config"] == ({**LEGACY, **EMPTY} if legacy else EMPTY)
    assert shown.get("Created", "") == ("0001-01-01T00:00:00Z" if virtual_size else "")
    assert shown["Metadata"] == {"LastTagTime": "0001-01-01T00:00:00Z"}
    assert shown["RepoTags"] == []
    assert "Variant" not in shown


@pytest.mark.parametrize(
    ("extra", "container", "command"),
    [
        ({"container": "abc", "container_config": {"Cmd": ["/bin/sh", "-c", "x"]}}, "abc", ["/bin/sh", "-c", "x"]),
        ({"container": 5, "container_config": {"Cmd": 7}}, "", None),
        ({"container_config": "x"}, "", None),
    ],
)
def test_older_engines_left_the_container(extra: dict[str, Any], container: str, command: list[str] | None) -> None:
    data = msgspec.json.encode({"architecture": "amd64", "os": "linux", **extra})
    shown = details((1, 41), stored(PLAIN, config_bytes=data))
    assert shown["Container"] == container
    assert shown["ContainerConfig"]["Cmd"] == command


def test_history() -> None:
    items = [
        HistoryItem(id=digest("a"), created_ns=CREATED_NS, created_by="x", comment="c", size=5, tags=("a:1",)),
        HistoryItem(id=None, created_ns=CREATED_NS, created_by="y", comment="", size=0, tags=()),
    ]
    seconds = CREATED_NS // 10**9
    assert wire.history(items) == [
        {"Comment": "c", "Created": seconds, "CreatedBy": "x", "Id": str(digest("a")), "Size": 5, "Tags": ("a:1",)},
        {"Comment": "", "Created": seconds, "CreatedBy": "y", "Id": "<missing>", "Size": 0, "Tags": None},
    ]


def test_removals() -> None:
    done = [Removal(untagged="a:1"), Removal(deleted=digest("a"))]
    assert wire.removals(done) == [{"Untagged": "a:1"}, {"Deleted": str(digest("a"))}]


def test_pruning() -> None:
    done = Pruned(removals=(Removal(untagged="a:1"), Removal(deleted=digest("a"))), space_reclaimed=5)
    assert wire.pruned(done) == {
        "ImagesDeleted": [{"Untagged": "a:1"}, {"Deleted": str(digest("a"))}],
        "SpaceReclaimed": 5,
    }
    assert wire.pruned(Pruned(removals=(), space_reclaimed=0)) == {"ImagesDeleted": None, "SpaceReclaimed": 0}


def test_when_an_image_was_used_last() -> None:
    shown = details((1, 41), stored(PLAIN, tagged_ns=CREATED_NS, last_used_ns=CREATED_NS + 1))
    assert shown["Metadata"] == {
        "LastTagTime": "2023-11-14T22:13:20.123456789Z",
        "LastUsedTime": "2023-11-14T22:13:20.12345679Z",
    }
