"""What `probe` says of this machine, and of one that lacks things."""

import os
from pathlib import Path

import pytest

from imagewright.sandbox import probe

pytestmark = pytest.mark.privileged


def test_a_machine_on_which_the_other_tests_pass() -> None:
    findings = {finding.name: finding for finding in probe()}
    assert set(findings) == {
        "user",
        "runtime",
        "overlayfs",
        "cgroups",
        "seccomp",
        "network namespaces",
        "slirp4netns",
        "git",
    }
    assert not [finding for finding in findings.values() if finding.status == "bad"]
    assert "runc" in findings["runtime"].detail or "crun" in findings["runtime"].detail


def test_nothing_stays(tmp_path: Path) -> None:
    probe(directory=str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def test_programs_that_are_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    findings = {finding.name: finding for finding in probe()}
    assert [findings[name].status for name in ("runtime", "slirp4netns", "git")] == ["bad", "limited", "limited"]
    assert all(findings[name].advice for name in ("runtime", "slirp4netns", "git"))


def test_a_runtime_that_does_not_work(tmp_path: Path) -> None:
    broken = tmp_path / "runc"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    findings = {finding.name: finding for finding in probe(runtime=str(broken))}
    assert findings["runtime"].status == "bad"


def test_a_place_where_overlayfs_does_not_work() -> None:
    findings = {finding.name: finding for finding in probe(directory="/proc")}
    assert findings["overlayfs"].status == "bad"
    assert os.path.isdir("/proc/self")
