from pathlib import Path

import pytest

from imagewright.sandbox.bundle import Bundle


@pytest.mark.parametrize(
    ("text", "cgroup"),
    [
        ('{"ociVersion":"1.0.2","linux":{"cgroupsPath":"/a/b","resources":{}}}', "/a/b"),
        ('{"linux":{}}', ""),
        ('{"linux":{"cgroupsPath":"/a', ""),
        ("", ""),
    ],
)
def test_the_control_group_is_what_is_written_down(tmp_path: Path, text: str, cgroup: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert Bundle(str(tmp_path)).cgroup() == cgroup


def test_nothing_is_written_down(tmp_path: Path) -> None:
    assert Bundle(str(tmp_path)).cgroup() == ""
