import pytest
from click.testing import CliRunner

from imagewright.cli import doctor
from imagewright.cli.main import program
from imagewright.sandbox import Finding

FINE = Finding("runtime", "good", "runc 1.1.5")
LIMITED = Finding("network", "limited", "no slirp4netns", "install slirp4netns")
BAD = Finding("overlayfs", "bad", "not there", "load the module")


def examine(monkeypatch: pytest.MonkeyPatch, findings: list[Finding]) -> tuple[int, str, str]:
    def probe(*, runtime: str | None) -> list[Finding]:
        assert runtime is None
        return findings

    monkeypatch.setattr(doctor, "probe", probe)
    result = CliRunner().invoke(program, ["doctor"])
    return result.exit_code, result.stdout, result.stderr


def test_well(monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = examine(monkeypatch, [FINE, LIMITED])
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "runtime  ok       runc 1.1.5",
        "network  limited  no slirp4netns",
        "                  install slirp4netns",
    ]


def test_ill(monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = examine(monkeypatch, [FINE, BAD])
    assert code == 1
    assert "overlayfs  missing  not there\n" in out
    assert err == "RUN cannot work on this machine; everything else can.\n"


def test_nothing_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert examine(monkeypatch, []) == (0, "", "")
