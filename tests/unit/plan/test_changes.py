import pytest

from imagewright.dockerfile import parse_changes
from imagewright.errors import InvalidInput
from imagewright.oci import Healthcheck, RunConfig
from imagewright.plan import apply_changes


# As the engine's `docker import --change` has it.
def test_changes_build_on_each_other() -> None:
    changes = parse_changes(
        [
            "ENV A=b B=$A",
            "ENV C=$A",
            "WORKDIR x",
            "WORKDIR y",
            "CMD foo",
            "ENTRYPOINT e",
            "EXPOSE 80",
            "USER u",
            "VOLUME /v",
            "LABEL a=$A",
            "ONBUILD RUN x",
            "HEALTHCHECK --interval=3s CMD x",
            "HEALTHCHECK CMD y",
        ]
    )
    assert apply_changes(RunConfig(), changes) == RunConfig(
        user="u",
        exposed_ports={"80/tcp": {}},
        env=("A=b", "B=", "C=b"),
        entrypoint=("/bin/sh", "-c", "e"),
        cmd=("/bin/sh", "-c", "foo"),
        volumes={"/v": {}},
        working_dir="/x/y",
        labels={"a": "b"},
        healthcheck=Healthcheck(test=("CMD-SHELL", "y")),
        on_build=("RUN x",),
    )


def test_no_path_comes_from_nowhere() -> None:
    assert apply_changes(RunConfig(), parse_changes(["LABEL a=$PATH$TARGETOS"])) == RunConfig(labels={"a": ""})


def test_nothing_changes_nothing() -> None:
    assert apply_changes(RunConfig(user="u"), ()) == RunConfig(user="u")


def test_a_change_that_cannot_be_right() -> None:
    with pytest.raises(InvalidInput, match=r"^cannot normalize nothing$"):
        apply_changes(RunConfig(), parse_changes(["WORKDIR $A"]))
