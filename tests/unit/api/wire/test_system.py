import dataclasses

import pytest

from imagewright.api import wire
from imagewright.api.versions import MAXIMUM, ApiVersion
from unit.api.fake_engine import CREATED_NS, FakeEngine


def test_versions_are_told_twice() -> None:
    shown = wire.version_information(FakeEngine().info(), release="1.2.3", python="3.11.7")
    assert shown["ApiVersion"] == shown["Components"][0]["Details"]["ApiVersion"] == str(MAXIMUM)
    assert shown["MinAPIVersion"] == "1.21"
    assert set(shown) == {
        *("Platform", "Components", "Version", "ApiVersion", "MinAPIVersion", "GitCommit", "GoVersion", "Os", "Arch"),
        *("KernelVersion", "BuildTime"),
    }


def test_information_names_the_machine_as_the_kernel_does() -> None:
    shown = wire.system_information(FakeEngine().info(), now_ns=CREATED_NS, host="h", release="1")
    assert (shown["Architecture"], shown["OSType"], shown["NCPU"]) == ("x86_64", "linux", 2)
    assert shown["SystemTime"] == "2023-11-14T22:13:20.123456789Z"
    assert wire.volumes() == {"Volumes": [], "Warnings": None}


def test_information_tells_of_registries() -> None:
    info = dataclasses.replace(
        FakeEngine().info(),
        mirrors=("http://m.example/",),
        insecure=("b.example:5000", "10.0.0.0/8", "a.example"),
        http_proxy="p",
    )
    shown = wire.system_information(info, now_ns=CREATED_NS, host="h", release="1")
    listed = {"Mirrors": [], "Secure": False, "Official": False}
    assert shown["RegistryConfig"] == {
        "AllowNondistributableArtifactsCIDRs": [],
        "AllowNondistributableArtifactsHostnames": [],
        "InsecureRegistryCIDRs": ["10.0.0.0/8", "::1/128", "127.0.0.0/8"],
        "IndexConfigs": {
            "a.example": {"Name": "a.example", **listed},
            "b.example:5000": {"Name": "b.example:5000", **listed},
            "docker.io": {"Name": "docker.io", "Mirrors": ["http://m.example/"], "Secure": True, "Official": True},
        },
        "Mirrors": ["http://m.example/"],
    }
    assert (shown["HttpProxy"], shown["HttpsProxy"], shown["NoProxy"]) == ("p", "", "")


@pytest.mark.parametrize(
    ("version", "types", "shown"),
    [
        (
            (1, 41),
            None,
            {
                "LayersSize": 5,
                "Images": ["i"],
                "Containers": ["c"],
                "Volumes": [],
                "BuildCache": None,
                "BuilderSize": 0,
            },
        ),
        ((1, 42), None, {"LayersSize": 5, "Images": ["i"], "Containers": ["c"], "Volumes": [], "BuildCache": []}),
        ((1, 51), ("image",), {"LayersSize": 5, "Images": ["i"]}),
        ((1, 51), ("volume", "container", "build-cache"), {"Containers": ["c"], "Volumes": [], "BuildCache": []}),
    ],
)
def test_disk_usage(version: tuple[int, ...], types: tuple[str, ...] | None, shown: wire.Document) -> None:
    images: list[wire.Document] = ["i"]  # type: ignore[list-item]
    containers: list[wire.Document] = ["c"]  # type: ignore[list-item]
    usage = wire.disk_usage(
        layers_size=5, images=images, containers=containers, caches=[], types=types, version=ApiVersion(version)
    )
    assert usage == shown
