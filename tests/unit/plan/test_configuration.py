import pytest

from imagewright.errors import InvalidInput
from imagewright.oci import Healthcheck, RunConfig
from imagewright.plan.configuration import (
    clean_path,
    environment,
    join_workdir,
    shell_of,
    size_of,
    with_default_path,
    with_env,
    with_healthcheck,
    with_labels,
    with_ports,
    with_trigger,
    with_volumes,
)


def test_environment_reads_variables_as_the_engine_does() -> None:
    config = RunConfig(env=("A=1", "B=x=y", "BARE", "A=2"))
    assert environment(config) == {"A": "2", "B": "x=y", "BARE": ""}
    assert environment(RunConfig()) == {}


def test_env_replaces_in_place_and_appends() -> None:
    config = with_env(RunConfig(env=("PATH=/bin", "A=1", "B=2")), [("A", "x"), ("C", ""), ("C", "3"), ("D", "4")])
    assert config.env == ("PATH=/bin", "A=x", "B=2", "C=3", "D=4")


def test_env_keeps_the_strings_of_other_variables() -> None:
    large = "A=" + "x" * 1000
    config = with_env(RunConfig(env=(large,)), [("B", "2")])
    assert config.env is not None
    assert config.env[0] is large


def test_env_needs_a_name() -> None:
    with pytest.raises(InvalidInput, match=r"^invalid environment variable: =x$"):
        with_env(RunConfig(), [("", "x")])


def test_default_path_is_added_only_where_there_is_none() -> None:
    assert with_default_path(RunConfig(env=("A=1",))).env == (
        "A=1",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )
    assert with_default_path(RunConfig(env=("PATH=",))).env == ("PATH=",)


def test_labels_merge() -> None:
    config = with_labels(RunConfig(labels={"a": "1", "b": "2"}), [("b", "x"), ("", "y")])
    assert config.labels == {"a": "1", "b": "x", "": "y"}
    assert with_labels(RunConfig(), [("a", "1")]).labels == {"a": "1"}


def test_ports_merge_and_none_at_all_changes_nothing() -> None:
    config = with_ports(RunConfig(), ["80/tcp"])
    assert with_ports(config, ["81/udp"]).exposed_ports == {"80/tcp": {}, "81/udp": {}}
    assert with_ports(RunConfig(), []).exposed_ports is None


def test_volumes_merge() -> None:
    config = with_volumes(RunConfig(volumes={"/a": {}}), [" /b "])
    assert config.volumes == {"/a": {}, "/b": {}}


@pytest.mark.parametrize("path", ["", " "])
def test_a_volume_needs_a_path(path: str) -> None:
    with pytest.raises(InvalidInput, match=r"^VOLUME specified can not be an empty string$"):
        with_volumes(RunConfig(), [path])


def test_a_healthcheck_takes_nothing_from_the_one_before() -> None:
    first = Healthcheck(test=("CMD", "a"), interval=5, timeout=6, start_period=7, start_interval=9, retries=8)
    config = with_healthcheck(RunConfig(), first)
    assert config.healthcheck == first
    second = Healthcheck(test=("CMD", "b"), retries=2)
    assert with_healthcheck(config, second).healthcheck == second


def test_triggers_append() -> None:
    assert with_trigger(with_trigger(RunConfig(), "RUN a"), "RUN b").on_build == ("RUN a", "RUN b")


def test_the_shell_has_a_default() -> None:
    assert shell_of(RunConfig()) == ("/bin/sh", "-c")
    assert shell_of(RunConfig(shell=("/bin/bash", "-ec"))) == ("/bin/bash", "-ec")  # noqa: S604


@pytest.mark.parametrize(
    ("current", "path", "joined"),
    [
        ("", "a", "/a"),
        ("/a", "b/../c", "/a/c"),
        ("/a/c", "/q//x:/y", "/q//x:/y"),
        ("", "../../x/./y/", "/x/y"),
        ("/", "./z/", "/z"),
        ("/z", "/a/../../b//c/", "/a/../../b//c/"),
        ("/a/../../b//c/", ".", "/b/c"),
        ("relative", "x", "/relative/x"),
    ],
)
def test_join_workdir(current: str, path: str, joined: str) -> None:
    assert join_workdir(current, path) == joined


def test_a_workdir_needs_a_path() -> None:
    with pytest.raises(InvalidInput, match=r"^cannot normalize nothing$"):
        join_workdir("/a", "")


@pytest.mark.parametrize(
    ("path", "clean"), [("", "/"), ("//", "/"), ("//a//b/", "/a/b"), ("a/../..", "/"), ("/a/../../b//c/", "/b/c")]
)
def test_clean_path(path: str, clean: str) -> None:
    assert clean_path(path) == clean


def test_size() -> None:
    assert size_of(RunConfig()) == 0
    assert size_of(RunConfig(env=("A=1",), labels={"a": "1"}, volumes={"/a": {}, "/b": {}}, on_build=("RUN a",))) == 5
