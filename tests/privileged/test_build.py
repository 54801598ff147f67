"""Builds from end to end, by an embedded engine with a real runtime."""

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.engine import BuildRequest, Engine, ImageQuery
from imagewright.errors import Cancelled, DockerfileError, ImagewrightError, InvalidInput, RunFailed
from imagewright.events import BuildWarning, CacheMiss, Output
from support.bases import busybox_base
from support.builder import Member, archive, context
from support.engines import Log, build, flatten, leftovers, processes, reference, saved

pytestmark = pytest.mark.privileged


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(str(tmp_path_factory.mktemp("engine"))) as engine:
        engine.import_(io.BytesIO(busybox_base()), reference=reference("busybox"))
        yield engine


def test_run_sees_what_was_copied_and_changes_the_image(engine: Engine) -> None:
    log = Log()
    image = build(
        engine,
        'FROM busybox\nCOPY greeting /srv/\nENV WHO=world\nRUN echo "$(cat /srv/greeting) $WHO" | tee /srv/said\n'
        'CMD ["cat", "/srv/said"]\n',
        {"greeting": "hello"},
        request=BuildRequest(tags=(reference("said"),)),
        log=log,
    )
    assert log.output == "hello world\n"
    files, config = flatten(saved(engine, "said"))
    assert files["srv/said"].data == b"hello world\n"
    assert config["config"]["Cmd"] == ["cat", "/srv/said"]
    assert engine.inspect("said").id == image
    assert leftovers(engine.info().data_root) == []


def test_identical_rebuild_gives_the_identical_image(engine: Engine) -> None:
    dockerfile = "FROM busybox\nARG A=1\nRUN date > /when\nLABEL a=b\nWORKDIR /w\nCOPY f .\nRUN echo $A > x\n"
    first = build(engine, dockerfile, {"f": "1"})
    log = Log()
    assert build(engine, dockerfile, {"f": Member(b"1", mtime=5)}, log=log) == first
    assert log.hits == 6


def test_a_context_that_was_sent_before_is_read_where_its_files_are_needed(engine: Engine) -> None:
    dockerfile = "FROM busybox\nARG OF\nRUN echo $OF > /a\nCOPY d /copied\nADD d /added\n"
    dockerfile += "RUN --mount=type=bind,target=/m cat /m/d/f > /ran\n"
    files = {"d/f": "content", "d/g": "more"}
    images = {
        build(engine, dockerfile, files, request=BuildRequest(tags=(reference("sent"),), build_args={"OF": value}))
        for value in ("1", "2", "1", "3")
    }
    assert len(images) == 3
    found = flatten(saved(engine, "sent"))[0]
    contents = {name: found[name].data for name in ("a", "copied/f", "copied/g", "added/f", "added/g", "ran")}
    assert contents == {
        "a": b"3\n",
        "copied/f": b"content",
        "copied/g": b"more",
        "added/f": b"content",
        "added/g": b"more",
        "ran": b"content",
    }
    assert leftovers(engine.info().data_root) == []


def test_filtered_copies_take_what_they_say_and_hit_the_cache_by_it(engine: Engine) -> None:
    dockerfile = (
        "FROM busybox AS one\nCOPY --exclude=**/*.log --chmod=u=rwX,go=rX . /all/\n"
        "COPY --parents src/./**/*.py /py/\nADD --exclude=b.log *.log /logs/\n"
        "FROM scratch\nCOPY --from=one --parents --exclude=**/two.py /py /logs /\nCOPY --from=one /all /all/\n"
    )
    files: dict[str, bytes | str | Member] = {
        "a.log": "a",
        "b.log": "b",
        "src/one.py": Member(b"1", mode=0o700),
        "src/deep/two.py": Member(b"2", mode=0o600),
        "src/deep/notes": "",
    }
    first = build(engine, dockerfile, files, request=BuildRequest(tags=(reference("filtered"),)))
    found = flatten(saved(engine, "filtered"))[0]
    assert {path: member.mode & 0o777 for path, member in found.items() if member.type == "file"} == {
        "all/Dockerfile": 0o644,
        "all/src/deep/notes": 0o644,
        "all/src/deep/two.py": 0o644,
        "all/src/one.py": 0o755,
        "logs/a.log": 0o644,
        "py/one.py": 0o700,
    }
    log = Log()
    assert build(engine, dockerfile, {**files, "b.log": "changed", "new.log.d/x.log": ""}, log=log) != first
    assert log.hits == 1  # a new directory is copied, though nothing in it is; and the second COPY does not see it
    log = Log()
    assert build(engine, dockerfile, {**files, "b.log": "changed"}, log=log) == first
    assert log.hits == 5
    assert build(engine, dockerfile, {**files, "src/one.py": "changed"}) != first


def test_a_label_before_a_run_leaves_the_run_alone(engine: Engine) -> None:
    run = "RUN date +%s%N > /stamp\n"
    build(engine, f"FROM busybox\nLABEL v=1\n{run}", request=BuildRequest(tags=(reference("l1"),)))
    log = Log()
    build(engine, f"FROM busybox\nLABEL v=2\n{run}", request=BuildRequest(tags=(reference("l2"),)), log=log)
    assert log.hits == 1
    assert flatten(saved(engine, "l1"))[0]["stamp"] == flatten(saved(engine, "l2"))[0]["stamp"]


def test_no_cache_runs_again(engine: Engine) -> None:
    dockerfile = "FROM busybox\nCOPY Dockerfile /\nRUN cat /proc/uptime /proc/sys/kernel/random/uuid > /stamp\n"
    assert build(engine, dockerfile) != build(engine, dockerfile, request=BuildRequest(no_cache=True))


def test_misses_are_explained_to_who_asks(engine: Engine) -> None:
    dockerfile = "FROM busybox\nARG A\nCOPY f /explained\nRUN echo $A > /a\nCMD x\n"
    build(engine, dockerfile, {"f": "1"}, request=BuildRequest(build_args={"A": "1"}))
    quiet, loud = Log(), Log()
    build(engine, "FROM busybox\nRUN echo explained\n", log=quiet)
    request = BuildRequest(build_args={"A": "2"}, explain=True)
    build(engine, dockerfile, {"f": "1"}, request=request, log=loud)
    reasons = [[event.reason for event in log.events if isinstance(event, CacheMiss)] for log in (quiet, loud)]
    assert reasons == [[], ['env.A is "2", and was "1"', "what it builds on is not the same"]]


def test_early_cutoff_adopts_an_equal_layer(engine: Engine) -> None:
    tail = "RUN cp /in /out\nRUN cat /proc/sys/kernel/random/uuid > /stamp\n"
    first = build(engine, f"FROM busybox\nRUN echo same > /in\n{tail}")
    log = Log()
    second = build(engine, f"FROM busybox\nRUN echo same  > /in\n{tail}", log=log)
    assert log.hits == 2
    assert engine.inspect(str(first)).config.rootfs == engine.inspect(str(second)).config.rootfs


def test_stages_run_side_by_side_and_report_in_order(engine: Engine) -> None:
    dockerfile = (
        "FROM busybox AS one\nRUN echo first; sleep 0.3; echo third > /o\n"
        "FROM busybox AS two\nRUN echo second > /o; echo from two\n"
        "FROM busybox AS unneeded\nRUN exit 1\n"
        "FROM scratch\nCOPY --from=one /o /1\nCOPY --from=two /o /2\n"
    )
    log = Log()
    build(engine, dockerfile, request=BuildRequest(tags=(reference("stages"),)), log=log)
    assert [step.split()[0] for step in log.steps] == ["FROM", "RUN", "FROM", "RUN", "FROM", "COPY", "COPY"]
    assert log.output == "first\nfrom two\n"
    files, _ = flatten(saved(engine, "stages"))
    assert (files["1"].data, files["2"].data) == (b"third\n", b"second\n")


def test_heredocs(engine: Engine) -> None:
    dockerfile = (
        "FROM busybox\nENV NAME=value\nRUN <<EOF\necho one > /a\necho two >> /a\nEOF\n"
        "COPY <<first <<'second' /d/\n$NAME\nfirst\n$NAME\nsecond\n"
        "RUN <<EOF\n#!/bin/sh\necho script > /b\nEOF\n"
        "RUN cat <<EOF > /c\nshell $((1 + 1))\nEOF\n"
    )
    build(engine, dockerfile, request=BuildRequest(tags=(reference("heredocs"),)))
    files, _ = flatten(saved(engine, "heredocs"))
    assert files["a"].data == b"one\ntwo\n"
    assert (files["d/first"].data, files["d/second"].data) == (b"value\n", b"$NAME\n")
    assert files["b"].data == b"script\n"
    assert files["c"].data == b"shell 2\n"
    assert not [path for path in files if path.startswith("dev/")]


def test_run_as_another_user(engine: Engine) -> None:
    log = Log()
    build(engine, "FROM busybox\nUSER user:staff\nRUN id -u; id -g; echo $HOME; touch ~/mine\n", log=log)
    assert log.output == "1000\n50\n/home/user\n"


def test_onbuild_triggers(engine: Engine) -> None:
    dockerfile = "FROM busybox\nONBUILD COPY f /f\nONBUILD RUN cat /f\n"
    build(engine, dockerfile, request=BuildRequest(tags=(reference("parent"),)))
    log = Log()
    build(engine, "FROM parent\n", {"f": "triggered"}, log=log)
    assert log.output == "triggered"


def test_add_unpacks_archives(engine: Engine) -> None:
    build(
        engine,
        "FROM scratch\nADD inner.tar plain /x/\n",
        {"inner.tar": archive({"d/f": "in"}), "plain": "p"},
        request=BuildRequest(tags=(reference("added"),)),
    )
    files, _ = flatten(saved(engine, "added"))
    assert files["x/d/f"].data == b"in"
    assert files["x/plain"].data == b"p"


def test_default_network_is_a_namespace_of_its_own(engine: Engine) -> None:
    log = Log()
    build(engine, "FROM busybox\nRUN ip -o addr | grep -c 'inet 10'; cat /etc/resolv.conf\n", log=log)
    assert log.output.startswith("1\nnameserver 10.0.2.3")


def test_network_none(engine: Engine) -> None:
    log = Log()
    build(engine, "FROM busybox\nRUN ip -o link\n", request=BuildRequest(network_mode="none"), log=log)
    assert "lo:" in log.output
    assert "tap0" not in log.output


def test_failed_run_keeps_its_container_and_leaves_nothing_else(engine: Engine) -> None:
    with pytest.raises(RunFailed, match=r"The command '/bin/sh -c exit 3' returned a non-zero code: 3") as caught:
        build(engine, "FROM busybox\nRUN echo fine\nRUN exit 3\n", request=BuildRequest(tags=(reference("never"),)))
    assert caught.value.exit_code == 3
    containers = engine.containers()
    assert [(c.exit_code, c.command) for c in containers] == [(3, ("/bin/sh", "-c", "exit 3"))]
    engine.remove_container(containers[0].id[:12])
    assert engine.containers() == []
    with pytest.raises(ImagewrightError):
        engine.inspect("never")
    assert leftovers(engine.info().data_root) == []


def test_rm_keeps_or_removes_containers(engine: Engine) -> None:
    build(engine, "FROM busybox\nRUN : kept\n", request=BuildRequest(remove=False))
    assert len(engine.containers()) == 1
    engine.remove_container(engine.containers()[0].name)
    with pytest.raises(RunFailed):
        build(engine, "FROM busybox\nRUN exit 4\n", request=BuildRequest(force_remove=True))
    assert engine.containers() == []


def test_cancelling_a_run_leaves_nothing(engine: Engine) -> None:
    cancellation = Cancellation()

    def report(event: object) -> None:
        if isinstance(event, Output):
            threading.Thread(target=cancellation.cancel).start()

    with pytest.raises(Cancelled):
        engine.build(
            io.BytesIO(context("FROM busybox\nRUN trap '' TERM; echo on; sleep 1234 & sleep 1234\n")),
            BuildRequest(tags=(reference("never"),)),
            report=report,
            cancellation=cancellation,
        )
    assert leftovers(engine.info().data_root) == []
    assert not [line for line in processes() if "sleep 1234" in line]
    assert engine.containers() == []


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [
        ("FROM busybox\nFOO bar\n", "dockerfile parse error line 2: unknown instruction: FOO"),
        ("", "the Dockerfile (Dockerfile) cannot be empty"),
        ("FROM busybox\nCOPY nope /\n", "COPY failed: file not found in build context or excluded by .dockerignore"),
        ("FROM busybox\nCOPY link/passwd /\n", "COPY failed: file not found in build context"),
        ("FROM busybox\nUSER nouser\nRUN true\n", "unable to find user nouser: no matching entries in passwd file"),
        ("FROM 127.0.0.1:1/missing\n", "connection refused"),
        ('FROM busybox\nRUN ["/nope"]\n', 'exec: "/nope": stat /nope: no such file or directory'),
        ("FROM scratch\n", "No image was generated. Is your Dockerfile empty?"),
    ],
)
def test_bad_dockerfiles(engine: Engine, dockerfile: str, message: str) -> None:
    files = {"link": Member.symlink("/etc")}
    with pytest.raises(ImagewrightError) as caught:
        build(engine, dockerfile, files, request=BuildRequest(force_remove=True))
    assert message in str(caught.value)
    assert engine.info().data_root not in str(caught.value)
    assert leftovers(engine.info().data_root) == []


@pytest.mark.parametrize("data", [b"", b"garbage", b"x" * 4096, context("FROM busybox\n", {"f": b"1" * 5000})[:2000]])
def test_bad_contexts(engine: Engine, data: bytes) -> None:
    with pytest.raises(InvalidInput):
        engine.build(io.BytesIO(data))
    assert leftovers(engine.info().data_root) == []


def test_an_error_while_building_names_the_line(engine: Engine) -> None:
    with pytest.raises(DockerfileError) as caught:
        build(engine, "FROM busybox\n\nCOPY nope \\\n  /\n")
    assert (caught.value.line, caught.value.source) == (3, "COPY nope \\")


def test_saved_images_load_again_with_the_same_ids(engine: Engine, tmp_path: Path) -> None:
    image = build(engine, "FROM busybox\nRUN echo x > /x\n", request=BuildRequest(tags=(reference("round/trip:1"),)))
    data = saved(engine, "round/trip:1")
    with Engine(str(tmp_path / "other")) as other:
        assert other.load(io.BytesIO(data)) == [reference("round/trip:1")]
        assert other.inspect("round/trip:1").id == image
        assert saved(other, "round/trip:1") == data


def test_list_shows_what_was_tagged(engine: Engine) -> None:
    build(engine, "FROM busybox\nLABEL listed=yes\n", request=BuildRequest(tags=(reference("listed:1"),)))
    (summary,) = engine.list(ImageQuery(labels=("listed=yes",)))
    assert summary.tags == ("listed:1",)
    assert json.loads(engine.inspect("listed:1").config_bytes)["config"]["Labels"] == {"listed": "yes"}


_CHECKED = "FROM busybox as one\nENV A=$PATH B=$NONE\nRUN echo ran\n"


def _warnings(log: Log) -> list[str]:
    return [event.message.split(": ")[2] for event in log.events if isinstance(event, BuildWarning)]


def test_checks_are_told_to_those_who_ask_and_the_base_is_known(engine: Engine) -> None:
    silent, asked = Log(), Log()
    first = build(engine, _CHECKED, log=silent)
    assert _warnings(silent) == []
    assert build(engine, _CHECKED, request=BuildRequest(check=True), log=asked) == first
    assert _warnings(asked) == ["FromAsCasing", "UndefinedVar"]


def test_checks_can_be_errors_before_anything_runs(engine: Engine) -> None:
    log = Log()
    with pytest.raises(DockerfileError, match="lint violation found for rules: FromAsCasing, UndefinedVar"):
        build(engine, f"# check=error=true\n{_CHECKED}", log=log)
    assert _warnings(log) == ["FromAsCasing", "UndefinedVar"]
    assert log.steps == []


def test_checks_alone_run_nothing(engine: Engine) -> None:
    log = Log()
    before = len(engine.list(ImageQuery(all=True)))
    findings = engine.check(io.BytesIO(context(_CHECKED)), report=log)
    assert [finding.rule.name for finding in findings] == _warnings(log) == ["FromAsCasing", "UndefinedVar"]
    assert (log.steps, len(engine.list(ImageQuery(all=True)))) == ([], before)
    assert len(engine.check(io.BytesIO(context("FROM not-here:1\nUSER $NONE\n")))) == 0
    assert leftovers(engine.info().data_root) == []
