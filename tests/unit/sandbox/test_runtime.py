from pathlib import Path

import pytest

from imagewright.errors import SystemFailure
from imagewright.sandbox.runtime import (
    MARKER,
    architecture,
    environment,
    failure_text,
    find_runtime,
    keeps_cgroups,
    run_arguments,
)


def test_failure_text_has_the_reason_and_no_host_path() -> None:
    log = (
        b'{"level":"warning","msg":"not this","time":"t"}\n'
        b"not json\n"
        b'{"level":"error","msg":"runc run failed: unable to start: mounting \\"/s/bundles/c/hosts\\" failed"}\n'
    )
    assert failure_text(log, "/s/bundles/c") == (
        "failed to create shim task: OCI runtime create failed: runc create failed: "
        'unable to start: mounting "/hosts" failed: unknown'
    )


def test_failure_text_of_a_silent_runtime() -> None:
    assert "gave no reason" in failure_text(b"", "/b")


def test_the_first_runtime_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemFailure, match="no OCI runtime is installed: RUN needs runc or crun"):
        find_runtime(None)
    with pytest.raises(SystemFailure, match="RUN needs mine"):
        find_runtime("mine")
    for name in ("crun", "runc", "mine"):
        (tmp_path / name).touch(0o755)
        assert find_runtime("mine" if name == "mine" else None) == str(tmp_path / name)


def test_what_programs_are_started_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("PATH", "/p")
    assert environment("/s") == {"PATH": "/p", MARKER: "/s"}
    assert run_arguments("/r", "/b", "id", configuration="/b/c") == [
        "/r",
        "--root=/b/c/runtime",
        "--log=/b/log",
        "--log-format=json",
        "run",
        "--bundle=/b/c",
        "--pid-file=/b/pid",
        "id",
    ]
    assert run_arguments("/r", "/b", "id", configuration="/b/c", keep=True)[4:6] == ["run", "--keep"]


@pytest.mark.parametrize(("text", "keeps"), [("--keep  do not delete", True), ("--bundle", False)])
def test_whether_a_runtime_can_leave_control_groups(tmp_path: Path, text: str, keeps: bool) -> None:
    program = tmp_path / "runtime"
    program.write_text(f"#!/bin/sh\necho '{text}'\n")
    program.chmod(0o755)
    assert keeps_cgroups(str(program)) is keeps
    assert not keeps_cgroups(str(tmp_path / "missing"))


def test_architecture_is_oci_s_name() -> None:
    assert architecture() not in {"x86_64", "aarch64"}
