from imagewright.oci import Platform
from imagewright.plan.variables import BuildArgs, Scope

LINUX = Platform("linux", "amd64")
ARM = Platform("linux", "arm", "v7")


def args(**values: str | None) -> BuildArgs:
    return BuildArgs(values, platform=ARM, build_platform=LINUX)


def test_a_declared_arg_has_the_value_of_the_request_else_its_default_else_the_global_one() -> None:
    build_args = args(A="cli", N=None)
    build_args.declare("G", "global")
    scope = Scope(build_args)
    for name, default in (("A", "default"), ("N", "default"), ("D", "default"), ("G", None), ("E", None)):
        scope.declare(name, default)
    assert scope.args({}) == (("A=cli", "D=default", "G=global", "N=default"), ())
    assert scope.find("E", {}) is None


def test_declaring_again_replaces_the_default() -> None:
    build_args = args()
    build_args.declare("X", "1")
    scope = Scope(build_args)
    scope.declare("X", "3")
    assert scope.find("X", {}) == "3"
    scope.declare("X", None)
    assert scope.find("X", {}) == "1"
    scope.declare("Y", "2")
    scope.declare("Y", None)
    assert scope.find("Y", {}) == "2"
    assert len(scope) == 2


def test_an_undeclared_arg_is_not_seen() -> None:
    build_args = args(A="cli")
    build_args.declare("G", "global")
    scope = Scope(build_args)
    assert scope.find("A", {}) is None
    assert scope.find("G", {}) is None
    assert scope.args({}) == ((), ())


def test_the_environment_hides_args() -> None:
    scope = Scope(args(A="cli", HTTP_PROXY="p"))
    scope.declare("A", None)
    assert scope.find("A", {"A": "env"}) == "env"
    assert scope.find("A", {"A": ""}) == ""
    assert scope.args({"A": "env", "HTTP_PROXY": "q"}) == ((), ())


def test_predefined_args_are_seen_undeclared_and_recorded_only_when_declared() -> None:
    scope = Scope(args(HTTP_PROXY="p", no_proxy="n"))
    assert scope.find("HTTP_PROXY", {}) == "p"
    assert scope.args({}) == ((), ("HTTP_PROXY=p", "no_proxy=n"))
    scope.declare("HTTP_PROXY", None)
    assert scope.args({}) == (("HTTP_PROXY=p",), ("no_proxy=n",))


def test_the_global_scope() -> None:
    build_args = args(A="cli", B="cli", http_proxy="p")
    build_args.declare("A", "default")
    assert build_args.find_global("A") == "cli"
    assert build_args.find_global("B") is None
    assert build_args.find_global("http_proxy") == "p"


def test_platform_args_are_global_and_must_be_declared_in_a_stage() -> None:
    build_args = args(BUILDOS="mine")
    names = [f"{prefix}{part}" for prefix in ("TARGET", "BUILD") for part in ("PLATFORM", "OS", "ARCH", "VARIANT")]
    assert [build_args.find_global(name) for name in names] == [
        "linux/arm/v7", "linux", "arm", "v7", "linux/amd64", "mine", "amd64", "",
    ]  # fmt: skip
    scope = Scope(build_args)
    assert scope.find("TARGETARCH", {}) is None
    scope.declare("TARGETARCH", None)
    scope.declare("TARGETOS", "other")
    assert scope.args({}) == (("TARGETARCH=arm", "TARGETOS=other"), ())


def test_unused_args() -> None:
    build_args = args(Z="1", A="1", G="1", S="1", N=None, HTTP_PROXY="p", C="1")
    build_args.declare("G", None)
    Scope(build_args).declare("S", None)
    build_args.consume(["C"])
    assert build_args.unused() == ("A", "N", "Z")
