from pathlib import Path

from imagewright.sandbox.cgroups import Hierarchies, parse_hierarchies

HYBRID = """\
24 30 0:22 / /proc rw,relatime shared:13 - proc proc rw
31 30 0:26 / /sys/fs/cgroup rw,relatime - tmpfs cgroup rw,mode=755
32 31 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 31 0:28 / /sys/fs/cgroup/pids rw,relatime shared:3 master:4 - cgroup cgroup rw,pids
34 31 0:29 / /sys/fs/cgroup/systemd rw,relatime - cgroup systemd rw,xattr,release_agent=/lib/x,name=systemd
35 31 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
36 31 0:27 / /elsewhere rw,relatime - cgroup cgroup rw,cpu,cpuacct
"""
UNIFIED = "31 30 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


def test_both_versions() -> None:
    hierarchies = parse_hierarchies(HYBRID)
    assert hierarchies.legacy == (
        ("/sys/fs/cgroup/cpu", frozenset({"cpu", "cpuacct"})),
        ("/sys/fs/cgroup/pids", frozenset({"pids"})),
        ("/sys/fs/cgroup/systemd", frozenset({"name=systemd"})),
    )
    assert hierarchies.unified == "/sys/fs/cgroup/unified"
    assert hierarchies.version == "1 and 2"


def test_version_two_alone() -> None:
    assert parse_hierarchies(UNIFIED) == Hierarchies((), "/sys/fs/cgroup")
    assert parse_hierarchies(UNIFIED).version == "2"


def test_none() -> None:
    assert parse_hierarchies("garbage\n\n1 2 3\na b c d e - x\n") == Hierarchies((), "")
    assert Hierarchies((), "").version == ""


def test_controllers(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory pids\n")
    assert Hierarchies((("/a", frozenset({"cpu"})),), str(tmp_path)).controllers() == {"cpu", "memory", "pids"}
    assert Hierarchies((), str(tmp_path / "nowhere")).controllers() == set()


def group(root: Path, name: str) -> Path:
    path = root / name
    path.mkdir(parents=True)
    return path


def test_processes_that_cannot_be_seen_are_not_killed(tmp_path: Path) -> None:
    hierarchies = Hierarchies((), str(tmp_path))
    procs = group(tmp_path, "g/inner") / "cgroup.procs"
    # 0 would be this very process and its group.
    procs.write_text("0\n0\n")
    assert hierarchies.kill("/g") is False
    # Nobody has such a process id; it is as if it had ended in between.
    procs.write_text("2147483647\n")
    assert hierarchies.kill("/g") is True


def test_a_frozen_group_is_thawed_and_a_group_of_version_two_killed_at_once(tmp_path: Path) -> None:
    one, two = group(tmp_path / "1", "g"), group(tmp_path / "2", "g")
    (one / "freezer.state").write_text("FROZEN")
    (two / "cgroup.kill").write_text("0")
    assert Hierarchies(((str(tmp_path / "1"), frozenset({"freezer"})),), str(tmp_path / "2")).kill("/g") is False
    assert (one / "freezer.state").read_text() == "THAWED"
    assert (two / "cgroup.kill").read_text() == "1"


def test_removal_takes_what_is_below_too_and_is_idempotent(tmp_path: Path) -> None:
    hierarchies = Hierarchies(((str(tmp_path / "1"), frozenset({"cpu"})),), str(tmp_path / "2"))
    for number in "12":
        group(tmp_path / number, "g/inner")
    assert hierarchies.remove("/g") is True
    assert hierarchies.remove("/g") is True
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["1", "2"]


def test_groups_by_the_beginning_of_their_names(tmp_path: Path) -> None:
    hierarchies = Hierarchies(((str(tmp_path / "1"), frozenset({"cpu"})),), str(tmp_path / "2"))
    group(tmp_path, "1/a-x/a-z")
    group(tmp_path, "1/ab")
    group(tmp_path, "2/a-x")
    group(tmp_path, "2/a-y")
    assert hierarchies.find("/a-") == {"/a-x", "/a-y"}


def test_memory_kills(tmp_path: Path) -> None:
    legacy = Hierarchies(((str(tmp_path), frozenset({"memory"})),), "/nowhere")
    (group(tmp_path, "one") / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert legacy.memory_kills("/one") == 2
    unified = Hierarchies((), str(tmp_path))
    (group(tmp_path, "two") / "memory.events").write_text("low 0\nmax 9\noom 3\noom_kill 1\noom_group_kill 0\n")
    assert unified.memory_kills("/two") == 1
    assert unified.memory_kills("/gone") == 0


def test_what_is_available(tmp_path: Path) -> None:
    (tmp_path / "cpuset.cpus").write_text("0-3\n")
    (tmp_path / "cpuset.mems.effective").write_text("0\n")
    assert Hierarchies(((str(tmp_path), frozenset({"cpuset"})),), "").available("cpus") == "0-3"
    assert Hierarchies((), str(tmp_path)).available("mems") == "0"
    assert Hierarchies((), str(tmp_path)).available("cpus") == ""
