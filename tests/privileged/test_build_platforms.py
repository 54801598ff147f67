"""Stages for other machines than the one that builds: from an index in a registry, and from nothing."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from imagewright.engine import BuildRequest, Engine
from imagewright.errors import NotFound, RunFailed
from imagewright.events import BuildWarning
from imagewright.oci import Platform
from support.bases import busybox_base
from support.builder import Member, archive
from support.engines import Log, build, flatten, reference, saved
from support.fake_registry import OCI_INDEX, FakeRegistry, fake_registry, make_image
from support.registry_world import settings

pytestmark = pytest.mark.privileged

# As much of a program as says that it is for a z/Architecture machine.
_FOREIGN = b"\x7fELF\x02\x02\x01".ljust(16, b"\0") + b"\0\2\0\x16" + bytes(4096)
_THERE = Platform("linux", "s390x")


@dataclass(frozen=True)
class _World:
    engine: Engine
    registry: FakeRegistry
    here: Platform

    def architecture(self, dockerfile: str, platform: Platform | None = None, log: Log | None = None) -> str:
        """Build `dockerfile`, in which `@` is the image for both machines; return what the result is for."""
        request = BuildRequest(platform=platform, tags=(reference("built"),), force_remove=True)
        text = dockerfile.replace("@", f"{self.registry.host}/both:1")
        image = build(self.engine, text, {"foreign": Member(_FOREIGN, mode=0o755)}, request=request, log=log)
        config = self.engine.inspect(str(image)).config
        assert config.os == "linux"
        return config.architecture


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_World]:
    root = str(tmp_path_factory.mktemp("engine"))
    with fake_registry() as registry, Engine(root, registry=settings()) as engine:
        here = Platform("linux", engine.info().architecture)
        theirs = archive([("machine", "there"), ("bin/foreign", Member(_FOREIGN, mode=0o755))])
        entries = []
        for platform, layers in ((here, (busybox_base(), archive({"machine": "here"}))), (_THERE, (theirs,))):
            tag = platform.architecture
            digest = make_image(registry, "both", tag, *layers, architecture=tag)
            size = len(registry.repository("both").manifests[digest])
            described = {"os": "linux", "architecture": tag}
            media_type = "application/vnd.oci.image.manifest.v1+json"
            entries.append({"mediaType": media_type, "digest": digest, "size": size, "platform": described})
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        registry.add_manifest("both", "1", OCI_INDEX, index)
        yield _World(engine, registry, here)


def test_each_stage_is_for_what_its_from_says(world: _World) -> None:
    log = Log()
    text = (
        "FROM --platform=$BUILDPLATFORM @ AS tools\nARG TARGETPLATFORM BUILDPLATFORM\n"
        "RUN echo $BUILDPLATFORM $TARGETPLATFORM $(cat /machine) > /said\n"
        "FROM @ AS result\nCOPY --from=tools /said /\n"
    )
    assert world.architecture(text, _THERE, log) == "s390x"
    files, _ = flatten(saved(world.engine, "built"))
    assert files["said"].data.decode() == f"{world.here} {_THERE} here\n"
    assert files["machine"].data == b"there"
    assert not [event for event in log.events if isinstance(event, BuildWarning)]


def test_the_last_stage_decides_what_the_result_is_for(world: _World) -> None:
    here = world.here.architecture
    assert world.architecture("FROM --platform=linux/s390x scratch\nCOPY foreign /\n") == "s390x"
    assert world.architecture("FROM --platform=$BUILDPLATFORM scratch\nCOPY foreign /\n", _THERE) == here
    assert world.architecture("FROM --platform=linux/s390x scratch AS x\nFROM x\nLABEL a=b\n") == "s390x"
    assert world.architecture("FROM --platform=linux/s390x @ AS x\nFROM scratch\nCOPY --from=x / /\n") == here
    assert world.architecture("ARG P=s390x\nFROM --platform=linux/$P @\nLABEL a=b\n") == "s390x"


def test_two_machines_images_of_one_name_in_one_build(world: _World) -> None:
    text = (
        "FROM --platform=linux/s390x @ AS there\nFROM --platform=$BUILDPLATFORM @ AS here\n"
        "FROM scratch\nCOPY --from=there /machine /there\nCOPY --from=here /machine /here\n"
    )
    world.architecture(text)
    files, _ = flatten(saved(world.engine, "built"))
    assert (files["there"].data, files["here"].data) == (b"there", b"here")


def test_tools_are_built_once_whatever_they_build_for(world: _World) -> None:
    text = "FROM --platform=$BUILDPLATFORM @ AS tools\nRUN date +%N > /n\nFROM scratch\nCOPY --from=tools /n /\n"
    world.architecture(text)
    log = Log()
    world.architecture(text, _THERE, log)
    assert log.hits == 2


def test_a_program_of_another_machine(world: _World) -> None:
    with pytest.raises(RunFailed, match="the program cannot run on this machine, which is linux/"):
        world.architecture('FROM --platform=linux/s390x @\nRUN ["/bin/foreign"]\n')


def test_a_platform_that_the_registry_has_not(world: _World) -> None:
    with pytest.raises(NotFound, match="linux/riscv64"):
        world.architecture("FROM --platform=linux/riscv64 @\n")
