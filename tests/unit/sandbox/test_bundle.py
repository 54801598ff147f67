from pathlib import Path

import pytest

from imagewright.sandbox.bundle import Bundle


@pytest.mark.parametrize("group", ["/a/b", "", "/\udcff"])
def test_the_control_group_is_what_is_written_down(tmp_path: Path, group: str) -> None:
    (tmp_path / "cgroup").write_text(group, errors="surrogateescape")
    assert Bundle(str(tmp_path)).cgroup() == group


def test_no_control_group_is_written_down(tmp_path: Path) -> None:
    assert Bundle(str(tmp_path)).cgroup() == ""
