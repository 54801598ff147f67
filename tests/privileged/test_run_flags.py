"""RUN --mount, --network and --security from end to end, by an embedded engine with a real runtime."""

import io
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.engine import BuildRequest, Engine
from imagewright.errors import DockerfileError, RunFailed
from support.bases import busybox_base
from support.builder import Content, Member, archive
from support.engines import Log, build, flatten, leftovers, reference, saved

pytestmark = pytest.mark.privileged


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    root = str(tmp_path_factory.mktemp("engine"))
    with Engine(root, entitlements=frozenset({"security.insecure"})) as engine:
        engine.import_(io.BytesIO(busybox_base()), reference=reference("busybox"))
        yield engine
        assert leftovers(root) == []


def run(engine: Engine, dockerfile: str, request: BuildRequest | None = None, **files: str) -> Log:
    log = Log()
    build(engine, f"FROM busybox\n{dockerfile}\n", files, request=request, log=log)
    return log


class TestBind:
    def test_context_is_there_and_is_not_in_the_image(self, engine: Engine) -> None:
        dockerfile = "RUN --mount=target=/in cat /in/f && ls -ln /in/f && ! touch /in/x && cat /in/f > /out"
        log = Log()
        request = BuildRequest(tags=(reference("bind"),))
        files: dict[str, Content] = {"Dockerfile": f"FROM busybox\n{dockerfile}", "f": Member(b"hello", uid=7, gid=8)}
        engine.build(io.BytesIO(archive(files)), request, report=log)
        assert log.output.startswith("hello-rw-r--r--    1 0        0 ")
        found, _ = flatten(saved(engine, "bind"))
        assert found["out"].data == b"hello"
        assert "in" not in found

    def test_one_file_of_a_stage(self, engine: Engine) -> None:
        log = Log()
        dockerfile = (
            "FROM busybox AS made\nRUN mkdir /d && echo made > /d/f && chown 3:4 /d/f\n"
            "FROM busybox\nRUN --mount=from=made,source=/d/f,target=/f cat /f && ls -ln /f\n"
        )
        build(engine, dockerfile, log=log)
        assert "made\n" in log.output
        assert " 3        4 " in log.output

    @pytest.mark.parametrize("flag", ["ro", "rw"])
    def test_the_root_of_a_stage(self, engine: Engine, flag: str) -> None:
        log = Log()
        rootfs: dict[str, Content] = {".": Member.directory(0o710, uid=5), "f": "x"}
        engine.import_(io.BytesIO(archive(rootfs)), reference=reference("odd"))
        dockerfile = (
            "FROM odd AS made\nCOPY Dockerfile /\n"
            f"FROM busybox\nRUN --mount=from=made,{flag},target=/x ls -ldn /x; : {flag}\n"
        )
        build(engine, dockerfile, log=log)
        assert log.output.split()[:3:2] == ["drwx--x---", "5"]

    def test_an_image(self, engine: Engine) -> None:
        assert run(engine, "RUN --mount=from=busybox,target=/i [ -x /i/bin/busybox ] && echo there").output == "there\n"

    def test_a_changed_file_is_a_miss_and_another_is_none(self, engine: Engine) -> None:
        dockerfile = "RUN --mount=source=d,target=/in cat /in/f"
        build(engine, f"FROM busybox\n{dockerfile}", {"d/f": "1", "other": "1"})
        log = Log()
        build(engine, f"FROM busybox\n{dockerfile}", {"d/f": "1", "other": "2"}, log=log)
        assert log.hits == 1
        build(engine, f"FROM busybox\n{dockerfile}", {"d/f": "2", "other": "2"}, log=log)
        assert log.output == "2"

    def test_what_is_written_is_seen_by_nobody_else(self, engine: Engine) -> None:
        dockerfile = (
            "RUN --mount=target=/in,rw echo x > /in/f && cat /in/f\nRUN --mount=target=/in,rw echo again && cat /in/f"
        )
        assert run(engine, dockerfile, f="original").output == "x\nagain\noriginal"

    def test_relative_targets_and_links(self, engine: Engine) -> None:
        dockerfile = "WORKDIR /w\nRUN ln -s /real /w/link\nRUN --mount=target=link/in cat /real/in/f"
        assert run(engine, dockerfile, f="found").output == "found"

    def test_variables(self, engine: Engine) -> None:
        assert run(engine, "ARG WHERE=/x\nRUN --mount=target=$WHERE cat /x/f", f="found").output == "found"

    def test_what_is_not_there_is_told_with_its_line(self, engine: Engine) -> None:
        with pytest.raises(DockerfileError, match='"/nope": not found') as caught:
            run(engine, "RUN --mount=source=nope,target=/x true")
        assert caught.value.line == 2


class TestCaches:
    def test_lasts_from_build_to_build(self, engine: Engine) -> None:
        cached = "RUN --mount=type=cache,target=/root/.cache "
        run(engine, f"{cached}echo one > /root/.cache/f")
        log = run(engine, f"{cached}cat /root/.cache/f && ls -a /root/.cache")
        assert log.output == "one\n.\n..\nf\n"
        image = build(engine, f"FROM busybox\n{cached}touch /root/x")
        assert not any("cache" in name for name in flatten(saved(engine, str(image)))[0])

    def test_owner_mode_and_what_it_begins_with(self, engine: Engine) -> None:
        log = Log()
        dockerfile = (
            "FROM busybox AS seed\nRUN mkdir /s && echo seed > /s/f\nFROM busybox\n"
            "RUN --mount=type=cache,target=/c,from=seed,source=/s,uid=5,gid=6,mode=0710 cat /c/f && ls -ldn /c"
        )
        build(engine, dockerfile, log=log)
        assert log.output.startswith("seed\ndrwx--x---")
        assert " 5        6 " in log.output

    def test_shared_by_steps_at_the_same_time(self, engine: Engine) -> None:
        dockerfile = (
            "FROM busybox AS a\nRUN --mount=type=cache,id=s,target=/c >/c/a; until [ -e /c/b ]; do sleep .05; done\n"
            "FROM busybox AS b\nRUN --mount=type=cache,id=s,target=/c >/c/b; until [ -e /c/a ]; do sleep .05; done\n"
            "FROM busybox\nCOPY --from=a /bin/true /1\nCOPY --from=b /bin/true /2\n"
        )
        build(engine, dockerfile)

    def test_locked_one_after_the_other(self, engine: Engine) -> None:
        step = "RUN --mount=type=cache,id=l,target=/c,sharing=locked"
        busy = "mkdir /c/busy && sleep 0.3 && rmdir /c/busy"
        dockerfile = (
            f"FROM busybox AS a\n{step} {busy} # a\nFROM busybox AS b\n{step} {busy} # b\n"
            "FROM busybox\nCOPY --from=a /bin/true /1\nCOPY --from=b /bin/true /2\n"
        )
        build(engine, dockerfile)


class TestTemporary:
    def test_is_gone_afterwards(self, engine: Engine) -> None:
        dockerfile = "RUN --mount=type=tmpfs,target=/t,size=1m touch /t/x && ls /t\nRUN ls -a / | grep -c '^t$' || true"
        assert run(engine, dockerfile).output == "x\n0\n"


class TestSecrets:
    def test_file_and_variable(self, engine: Engine) -> None:
        request = BuildRequest(secrets={"token": b"hush-4711"}, remove=False)
        log = run(
            engine,
            "RUN --mount=type=secret,id=token cat /run/secrets/token\n"
            "RUN --mount=type=secret,id=token,env=TOKEN,required echo $TOKEN; ls /run/secrets 2>&1 || true\n"
            "RUN --mount=type=secret,id=token,target=/t,uid=9,mode=0444 ls -ln /t\n",
            request,
        )
        assert log.output.startswith("hush-4711hush-4711\n")
        assert " 9        0 " in log.output
        # What a RUN prints is its own affair, and is kept with its container; nothing else of it is anywhere.
        for container in engine.containers():
            engine.remove_container(container.id)
        assert found(engine.info().data_root, b"hush-4711") == []

    def test_another_value_is_no_miss(self, engine: Engine) -> None:
        dockerfile = "FROM busybox\nRUN --mount=type=secret,id=s [ -s /run/secrets/s ]"
        build(engine, dockerfile, request=BuildRequest(secrets={"s": b"1"}))
        log = Log()
        build(engine, dockerfile, request=BuildRequest(secrets={"s": b"2"}), log=log)
        assert log.hits == 1

    def test_one_that_is_missing(self, engine: Engine) -> None:
        assert run(engine, "RUN --mount=type=secret,id=nope [ ! -e /run/secrets/nope ] && echo fine").output == "fine\n"
        log = Log()
        dockerfile = "FROM busybox\nRUN echo ran\nRUN --mount=type=secret,id=nope,required true"
        with pytest.raises(DockerfileError, match="secret nope: not found") as caught:
            build(engine, dockerfile, log=log)
        assert caught.value.line == 3
        assert log.events == []

    @pytest.mark.parametrize("value", [b"hush\0-4711", b"hush\xff-4711"])
    def test_one_that_no_variable_can_hold(self, engine: Engine, value: bytes) -> None:
        request, log = BuildRequest(secrets={"s": value}), Log()
        dockerfile = "FROM busybox\nRUN echo ran\nRUN --mount=type=secret,id=s,env=S true"
        with pytest.raises(DockerfileError, match=r"secret s: it .* the variable S ") as caught:
            build(engine, dockerfile, request=request, log=log)
        assert (caught.value.line, log.events) == (3, [])
        assert "4711" not in str(caught.value)
        run(engine, "RUN --mount=type=secret,id=s test $(wc -c < /run/secrets/s) = 10", request)


def found(root: str, secret: bytes) -> list[str]:
    """Return the files below `root` that hold `secret`."""
    return [
        str(path)
        for path in Path(root).rglob("*")
        if path.is_file() and not path.is_symlink() and secret in path.read_bytes()
    ]


class TestAgents:
    def test_socket_and_variable(self, engine: Engine, tmp_path: Path) -> None:
        address = str(tmp_path / "agent")
        dockerfile = "RUN --mount=type=ssh,required echo $SSH_AUTH_SOCK && [ -S $SSH_AUTH_SOCK ] && echo socket"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()
            log = run(engine, dockerfile, BuildRequest(agents={"default": address}))
        assert log.output == "/run/buildkit/ssh_agent.0\nsocket\n"
        with pytest.raises(DockerfileError, match="no SSH key default forwarded from the client"):
            run(engine, "RUN --mount=type=ssh,required true")


class TestConfinement:
    def test_no_network(self, engine: Engine) -> None:
        assert run(engine, "RUN --network=none ls /sys/class/net").output.split() == ["lo"]

    def test_host_network_must_be_allowed(self, engine: Engine) -> None:
        dockerfile = "RUN --network=host ls /proc/self/ns/ && readlink /proc/self/ns/net"
        with pytest.raises(DockerfileError, match=r"network\.host is not allowed"):
            run(engine, dockerfile)
        log = run(engine, dockerfile, BuildRequest(allow=frozenset({"network.host"})))
        assert os.readlink("/proc/self/ns/net") in log.output

    def test_everything(self, engine: Engine) -> None:
        dockerfile = "RUN --security=insecure mkdir /m && mount -t tmpfs none /m"
        with pytest.raises(DockerfileError, match="must have allow="):
            run(engine, dockerfile)
        run(engine, dockerfile, BuildRequest(allow=frozenset({"security.insecure"})))
        with pytest.raises(RunFailed):
            run(engine, "RUN mkdir /m && mount -t tmpfs none /m")


def test_builds_at_the_same_time_share_the_context_of_none_other(engine: Engine) -> None:
    logs = [Log() for _ in range(4)]

    def one(number: int) -> None:
        dockerfile = f"FROM busybox\nRUN --mount=target=/in cat /in/f # {number}"
        build(engine, dockerfile, {"f": str(number)}, log=logs[number])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [log.output for log in logs] == ["0", "1", "2", "3"]
