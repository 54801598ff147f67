import dataclasses

from imagewright.api import wire
from imagewright.engine import Container, Process
from imagewright.oci import ImageConfig, RunConfig
from unit.api.fake_engine import CREATED_NS, FakeEngine, digest

CONTAINER = Container(
    id="ab" * 32,
    image=digest("i"),
    command=("/bin/sh", "-c", "exit 3", "a;b"),
    created_ns=CREATED_NS,
    exit_code=3,
    name="n",
    diff_ids=(),
)


def test_an_entry_of_the_list_has_exactly_these_keys() -> None:
    assert wire.container_entry(CONTAINER, status="Exited (3) 1 second ago", labels={"a": "b"}) == {
        "Id": "ab" * 32,
        "Names": ["/n"],
        "Image": str(digest("i")),
        "ImageID": str(digest("i")),
        "Command": "/bin/sh -c 'exit 3' a;b",
        "Created": CREATED_NS // 10**9,
        "Ports": [],
        "Labels": {"a": "b"},
        "State": "exited",
        "Status": "Exited (3) 1 second ago",
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {}},
        "Mounts": [],
    }


SIZED = dataclasses.replace(CONTAINER, size_rw=3, size_root=7)


def test_sizes_are_there_on_request() -> None:
    shown = wire.container_entry(SIZED, status="", labels=None, sized=True)
    assert (shown["SizeRw"], shown["SizeRootFs"], shown["Labels"]) == (3, 7, {})
    assert "SizeRw" not in wire.container_entry(CONTAINER, status="", labels=None, sized=True)


def test_details() -> None:
    engine = FakeEngine()
    run = RunConfig(env=("A=1",), cmd=("x",), entrypoint=("y",), labels={"a": "b"}, exposed_ports={"80/tcp": {}})
    engine.add("a:1", config=ImageConfig(architecture="amd64", os="linux", config=run))
    shown = wire.container_details(SIZED, engine.inspect("a:1"), driver="overlay2", runtime="runc", sized=True)
    assert (shown["Path"], shown["Args"], shown["Name"]) == ("/bin/sh", ("-c", "exit 3", "a;b"), "/n")
    assert (shown["State"]["Status"], shown["State"]["ExitCode"]) == ("exited", 3)
    assert (shown["HostConfig"]["Runtime"], shown["HostConfig"]["Binds"]) == ("runc", None)
    assert "/proc/kcore" in shown["HostConfig"]["MaskedPaths"]
    assert (shown["SizeRw"], shown["SizeRootFs"]) == (3, 7)
    config = shown["Config"]
    assert config["Hostname"] == "ab" * 6
    assert (config["Cmd"], config["Entrypoint"]) == (CONTAINER.command, None)
    assert (config["Env"], config["ExposedPorts"], config["Labels"]) == (("A=1",), {"80/tcp": {}}, {"a": "b"})
    assert config["Healthcheck"] == {"Test": ["NONE"]}


def test_details_without_an_image_and_a_command() -> None:
    bare = dataclasses.replace(CONTAINER, command=())
    shown = wire.container_details(bare, None, driver="overlay2", runtime="runc")
    assert (shown["Path"], shown["Args"]) == ("", ())
    assert shown["Config"]["Labels"] == {}
    assert "SizeRw" not in shown
    sized = wire.container_details(bare, None, driver="overlay2", runtime="runc", sized=True)
    assert sized["SizeRootFs"] == 0


def test_what_a_commit_came_to() -> None:
    assert wire.committed(digest("i")) == {"Id": str(digest("i"))}


def test_details_of_a_process() -> None:
    process = Process(env=("B=2",), user="1:2", workdir="/w", network="none")
    ran = dataclasses.replace(CONTAINER, process=process, finished_ns=CREATED_NS + 10**9)
    shown = wire.container_details(ran, None, driver="overlay2", runtime="runc")
    assert (shown["Config"]["Env"], shown["Config"]["User"]) == (("B=2",), "1:2")
    assert shown["HostConfig"]["NetworkMode"] == "none"
    assert (shown["State"]["StartedAt"][17:19], shown["State"]["FinishedAt"][17:19]) == ("20", "21")
    assert wire.container_entry(ran, status="", labels=None)["HostConfig"] == {"NetworkMode": "none"}
