import pytest

from imagewright.checks import Finding, check, describe, read_options, summarise
from imagewright.dockerfile import parse
from imagewright.errors import DockerfileError
from imagewright.oci import Platform

_BODY = "FROM a as b\nMAINTAINER c\n# d\nFROM e AS f\n"


def find(directive: str, build_arg: str | None = None) -> tuple[Finding, ...]:
    data = f"# check={directive}\n{_BODY}".encode()
    return check(
        parse(data), data, platform=Platform("linux", "amd64"), build_args={"BUILDKIT_DOCKERFILE_CHECK": build_arg}
    )


@pytest.mark.parametrize(
    ("directive", "rules"),
    [
        ("error=true", ["FromAsCasing", "MaintainerDeprecated"]),
        ("skip=FromAsCasing", ["MaintainerDeprecated"]),
        ("skip=FromAsCasing, MaintainerDeprecated , Nope", []),
        ("skip=all", []),
        ("skip=all;experimental=all", ["InvalidDefinitionDescription"]),
        ("experimental=InvalidDefinitionDescription;skip=InvalidDefinitionDescription,FromAsCasing", None),
        ("experimental=CopyIgnoredFile", ["FromAsCasing", "MaintainerDeprecated"]),
        ("skip=All", ["FromAsCasing", "MaintainerDeprecated"]),
        (" skip = all ; error = 1 ", []),
    ],
)
def test_directive(directive: str, rules: list[str] | None) -> None:
    expected = ["MaintainerDeprecated", "InvalidDefinitionDescription"] if rules is None else rules
    assert [finding.rule.name for finding in find(directive)] == expected


def test_build_arg_replaces_the_directive() -> None:
    assert [finding.rule.name for finding in find("skip=all", "skip=FromAsCasing")] == ["MaintainerDeprecated"]
    assert find("skip=all", "") == find("skip=all", None) == ()


@pytest.mark.parametrize(("value", "error"), [("true", True), ("T", True), ("0", False), ("FALSE", False)])
def test_error(value: str, error: bool) -> None:
    assert read_options(parse(f"# check=error={value}\nFROM a\n".encode())).error == error
    assert not read_options(parse(b"FROM a\n")).error


@pytest.mark.parametrize(
    ("directive", "message"),
    [
        ("all", 'invalid check option "all"'),
        ("skip=a;b", 'invalid check option "b"'),
        ("warn=true", 'invalid check option "warn"'),
        ("error=yes", 'failed to parse check option "error=yes"'),
        ("skip=a;error=1;experimental=b;x=y", None),
    ],
)
def test_wrong_directives(directive: str, message: str | None) -> None:
    # of a fourth part the third takes all
    if message is None:
        assert read_options(parse(f"# check={directive}\nFROM a\n".encode())).experimental == {"b;x=y"}
        return
    with pytest.raises(DockerfileError) as caught:
        read_options(parse(f"# check={directive}\nFROM a\n".encode()))
    assert str(caught.value) == f"failed to parse check options: {message}"


def test_lines_about_findings() -> None:
    found = find("error=true")
    assert describe(found[1], "docker/File").startswith("docker/File:3: MaintainerDeprecated: ")
    assert summarise((*found, *found)) == "lint violation found for rules: FromAsCasing, MaintainerDeprecated"
