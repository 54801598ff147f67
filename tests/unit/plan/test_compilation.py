from collections.abc import Mapping

import pytest

from imagewright.dockerfile import Dockerfile, parse
from imagewright.errors import (
    Cancelled,
    DockerfileError,
    ImagewrightError,
    InvalidInput,
    NotFound,
    SystemFailure,
)
from imagewright.oci import Digest, ImageConfig, Platform, RunConfig
from imagewright.plan import (
    Base,
    Compilation,
    Configure,
    Continue,
    CopyFiles,
    Fail,
    Image,
    MakeDirectory,
    Node,
    Place,
    Plan,
    RunCommand,
    Scratch,
    compile,  # noqa: A004 - the name of the verb in this field
)

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LINUX = Platform("linux", "amd64")


def image(name: str, config: RunConfig | None = None) -> Base:
    return Base(Digest.of(name.encode()), ImageConfig(architecture="amd64", os="linux", config=config, author="joe"))


BUSYBOX = image("busybox", RunConfig(cmd=("/bin/sh",)))
IMAGES: dict[str, Base | ImagewrightError] = {
    "busybox": BUSYBOX,
    "bare": image("bare"),
    "triggers": image(
        "triggers", RunConfig(env=("E=base",), on_build=("ARG OB=1", "RUN echo $OB", "ENV OB2=2", "COPY f /f"))
    ),
    "copies": image("copies", RunConfig(on_build=("COPY --from=first a b",))),
    "badtrigger": image("badtrigger", RunConfig(on_build=("FOO bar",))),
    "fromtrigger": image("fromtrigger", RunConfig(on_build=("FROM bar",))),
    "gone": NotFound("No such image: gone:latest"),
    "Busy!!": InvalidInput("invalid reference format: repository name must be lowercase"),
    "broken": SystemFailure("disk on fire"),
    "stop": Cancelled("Build cancelled"),
}


class Images:
    """A store of images that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.places: list[tuple[int, str]] = []

    def __call__(self, name: str, platform: Platform | None, place: Place, /) -> Base:
        assert platform in {None, LINUX}
        self.asked.append(name)
        self.places.append((place.node, place.step.text if place.step else ""))
        found = IMAGES[name]
        if isinstance(found, ImagewrightError):
            raise found
        return found


def plan_of(
    text: str,
    *,
    target: str = "",
    build_args: Mapping[str, str | None] | None = None,
    labels: Mapping[str, str] | None = None,
    images: Images | None = None,
) -> Plan:
    return compile(
        parse(text.encode()),
        target=target,
        build_args=build_args or {},
        labels=labels or {},
        platform=LINUX,
        resolve=images or Images(),
    )


def steps(plan: Plan) -> list[str]:
    told = [*plan.preamble, *(node.step for node in plan.nodes if node.step)]
    return [f"{step.number}/{step.total} {step.text}" for step in told]


def failure(plan: Plan) -> ImagewrightError:
    """Return the error that the plan ends with."""
    node = plan.nodes[-1]
    assert isinstance(node.op, Fail)
    assert plan.target == node.index
    return node.op.error


def target(plan: Plan) -> Node:
    return plan.nodes[plan.target]


def test_one_stage() -> None:
    plan = plan_of("FROM busybox\nRUN make\nLABEL a=b\nWORKDIR /w\n")
    first, second, third, fourth = plan.nodes
    assert first == Node(
        index=0,
        stage=0,
        op=Image(BUSYBOX),
        step=first.step,
        config=RunConfig(cmd=("/bin/sh",)),
    )
    assert second.op == RunCommand(argv=("/bin/sh", "-c", "make"), env=(PATH,))
    assert (second.inputs, second.created_by) == ((0,), "/bin/sh -c make")
    assert second.config == RunConfig(cmd=("/bin/sh",), env=(PATH,))
    assert (third.op, third.inputs) == (Configure("LABEL a=b"), (1,))
    assert (fourth.op, fourth.inputs, fourth.last_of_stage) == (MakeDirectory("/w"), (2,), True)
    assert [node.last_of_stage for node in plan.nodes] == [False, False, False, True]
    assert fourth.config.labels == {"a": "b"}
    assert plan.target == 3
    assert steps(plan) == ["1/4 FROM busybox", "2/4 RUN make", "3/4 LABEL a=b", "4/4 WORKDIR /w"]


def test_from_alone_is_the_base() -> None:
    plan = plan_of("FROM bare\n")
    assert target(plan).op == Image(image("bare"))
    assert target(plan).last_of_stage
    assert target(plan).config == RunConfig()


def test_from_scratch() -> None:
    plan = plan_of("FROM scratch\nCOPY f /\n")
    assert [node.op for node in plan.nodes] == [Scratch(), CopyFiles(sources=("f",), destination="/")]
    assert plan.nodes[0].config == RunConfig()
    assert target(plan).config == RunConfig(env=(PATH,))


@pytest.mark.parametrize("text", ["FROM scratch\n", "FROM scratch AS e\nFROM e\n"])
def test_scratch_alone_is_no_image(text: str) -> None:
    plan = plan_of(text)
    assert str(failure(plan)) == "No image was generated. Is your Dockerfile empty?"
    assert plan.nodes[-1].step is None
    assert not any(node.last_of_stage for node in plan.nodes)


def test_from_an_empty_stage_is_from_scratch() -> None:
    plan = plan_of("FROM scratch AS e\nFROM e\nCOPY --from=e / /x\n")
    assert [node.op for node in plan.nodes[:2]] == [Scratch(), Scratch()]
    assert target(plan).inputs == (1, 0)


def test_from_a_stage_goes_on_with_its_configuration() -> None:
    plan = plan_of(
        "FROM busybox AS One\nENV A=1\nMAINTAINER jim\nFROM ONE\nRUN true\n",
    )
    begin, run = plan.nodes[3:]
    assert (begin.op, begin.inputs, begin.author) == (Continue(), (2,), "")
    assert begin.config.env == (PATH, "A=1")
    assert (run.inputs, run.author) == ((3,), "")
    assert [node.author for node in plan.nodes] == ["", "", "jim", "", ""]
    assert [node.last_of_stage for node in plan.nodes] == [False, False, True, False, True]
    assert [node.stage for node in plan.nodes] == [0, 0, 0, 1, 1]


def test_stages_that_are_not_needed_are_dropped_and_not_counted() -> None:
    images = Images()
    plan = plan_of(
        """
        FROM bare AS unneeded
        RUN echo unneeded
        FROM busybox AS first
        RUN echo 1
        FROM gone
        FROM busybox AS last
        COPY --from=first a b
        COPY --from=2 a b
        """,
        target="",
        images=images,
    )
    assert images.asked == ["busybox", "gone"]
    assert str(failure(plan)) == "No such image: gone:latest"
    plan = plan_of("FROM gone\nFROM busybox AS first\nRUN x\nFROM scratch\nCOPY --from=1 a b\n")
    assert steps(plan) == [
        "1/4 FROM busybox AS first",
        "2/4 RUN x",
        "3/4 FROM scratch",
        "4/4 COPY --from=1 a b",
    ]
    assert target(plan).inputs == (2, 1)


def test_an_image_is_asked_for_once() -> None:
    images = Images()
    plan_of("FROM busybox AS a\nFROM busybox\nCOPY --from=busybox a b\nCOPY --from=a a b\n", images=images)
    assert images.asked == ["busybox"]


@pytest.mark.parametrize(
    ("wanted", "count"), [("", 3), ("one", 1), ("ONE", 1), ("0", 1), ("1", 2), ("2", 3), ("two", 2)]
)
def test_target(wanted: str, count: int) -> None:
    plan = plan_of("FROM busybox AS one\nFROM one AS two\nFROM two\n", target=wanted)
    assert len(plan.nodes) == count


@pytest.mark.parametrize("wanted", ["zz", "1", "-1", "9999999999999999999999", "¹"])
def test_an_unknown_target(wanted: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        plan_of("FROM busybox AS one\n", target=wanted)
    assert str(caught.value) == f"failed to reach build target {wanted} in Dockerfile"


def test_no_stage_at_all() -> None:
    with pytest.raises(DockerfileError, match=r"^no build stage in current context$"):
        compile(Dockerfile((), (), "\\", (), {}), build_args={}, labels={}, platform=LINUX, resolve=Images())


def test_copy_from_an_image_adds_a_node_for_it_once() -> None:
    plan = plan_of("FROM scratch\nCOPY --from=busybox a b\nCOPY --from=busybox c d\n")
    provider = plan.nodes[1]
    assert (provider.op, provider.step, provider.closes_step, provider.inputs) == (Image(BUSYBOX), None, False, ())
    assert [node.inputs for node in plan.nodes] == [(), (), (0, 1), (2, 1)]
    assert [node.last_of_stage for node in plan.nodes] == [False, False, False, True]


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("0", InvalidInput, "invalid from flag value 0: refers to current build stage"),
        ("1", InvalidInput, "invalid from flag value 1: index out of bounds"),
        ("-1", InvalidInput, "invalid from flag value -1: index out of bounds"),
        ("scratch", InvalidInput, "invalid from flag value scratch: 'scratch' is a reserved name"),
        (
            "Busy!!",
            InvalidInput,
            "invalid from flag value Busy!!: invalid reference format: repository name must be lowercase",
        ),
        ("gone", NotFound, "invalid from flag value gone: No such image: gone:latest"),
        ("broken", SystemFailure, "invalid from flag value broken: disk on fire"),
    ],
)
def test_a_bad_from_flag_fails_at_its_step(value: str, kind: type[ImagewrightError], message: str) -> None:
    plan = plan_of(f"FROM busybox\nRUN x\nCOPY --from={value} a b\nRUN y\n")
    assert isinstance(failure(plan), kind)
    assert str(failure(plan)) == message
    assert steps(plan) == ["1/4 FROM busybox", "2/4 RUN x", f"3/4 COPY --from={value} a b"]
    assert plan.nodes[-1].inputs == (1,)


def test_a_stage_is_no_source_for_itself() -> None:
    with pytest.raises(KeyError, match="self"):
        plan_of("FROM busybox AS self\nCOPY --from=self a b\n")  # asked of the images, where a test has none


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("FROM $NOPE", InvalidInput, "base name ($NOPE) should not be blank"),
        ("FROM Busy!!", InvalidInput, "invalid reference format: repository name must be lowercase"),
        ("FROM gone", NotFound, "No such image: gone:latest"),
        ("FROM broken", SystemFailure, "disk on fire"),
        ("FROM ${X:?no}", InvalidInput, 'failed to process "${X:?no}": X: no'),
        (
            "FROM --platform=a/b/c/d busybox",
            InvalidInput,
            'failed to parse platform a/b/c/d: "a/b/c/d": cannot parse platform specifier: invalid argument',
        ),
        (
            "FROM --platform=windows busybox",
            InvalidInput,
            "operating system is not supported: platform=windows/amd64",
        ),
    ],
)
def test_a_bad_from_fails_at_its_step(text: str, kind: type[ImagewrightError], message: str) -> None:
    plan = plan_of(f"{text}\nRUN x\n")
    error = failure(plan)
    assert isinstance(error, kind)
    assert str(error) == message
    assert steps(plan) == [f"1/2 {text}"]


@pytest.mark.parametrize(
    "platform", ["linux/amd64", "linux/x86_64", "linux", "amd64", "$TARGETPLATFORM", "$BUILDPLATFORM"]
)
def test_the_platform_of_this_build_is_fine(platform: str) -> None:
    assert target(plan_of(f"FROM --platform={platform} busybox\n")).op == Image(BUSYBOX, LINUX)


ARM = Platform("linux", "arm64")


@pytest.mark.parametrize("platform", ["linux/arm64", "linux/arm64/v8", "aarch64", "$P", "linux/${ARCH:-arm64}"])
def test_another_platform(platform: str) -> None:
    asked: list[Platform | None] = []

    def resolve(_name: str, wanted: Platform | None, _place: Place, /) -> Base:
        asked.append(wanted)
        return BUSYBOX

    text = f"ARG P=arm64\nFROM --platform={platform} busybox\nFROM --platform={platform} scratch\nLABEL a=b\n"
    plan = compile(parse(text.encode()), target="0", build_args={}, labels={}, platform=LINUX, resolve=resolve)
    assert target(plan).op == Image(BUSYBOX, ARM)
    assert asked == [ARM]
    assert plan_of(text).nodes[0].op == Scratch(ARM)


def test_the_build_platform_is_not_what_the_build_is_for() -> None:
    text = (
        "FROM --platform=$BUILDPLATFORM scratch AS tools\nFROM --platform=$TARGETPLATFORM scratch AS other\n"
        "FROM tools AS more\nARG TARGETARCH BUILDARCH\nLABEL of=$BUILDARCH-$TARGETARCH\nCOPY --from=other / /\n"
    )
    plan = compile(parse(text.encode()), build_args={}, labels={}, platform=ARM, build_platform=LINUX, resolve=Images())
    assert [node.op for node in plan.nodes if isinstance(node.op, Scratch)] == [
        Scratch(LINUX),
        Scratch(ARM),
        Scratch(LINUX),
    ]
    assert target(plan).config.labels == {"of": "amd64-arm64"}


def test_an_error_knows_its_line() -> None:
    plan = plan_of("FROM busybox\nRUN x\n\nEXPOSE \\\n  abc\n")
    error = failure(plan)
    assert isinstance(error, DockerfileError)
    assert (error.line, error.source, str(error)) == (4, "EXPOSE \\", "Invalid containerPort: abc")
    assert plan.nodes[-1].step is not None


def test_cancelled_comes_out_at_once() -> None:
    with pytest.raises(Cancelled):
        plan_of("FROM stop\n")
    with pytest.raises(Cancelled):
        plan_of("FROM busybox\nCOPY --from=stop a b\n")


@pytest.mark.parametrize("name", ["a", "A"])
def test_a_repeated_name_fails_where_it_stands(name: str) -> None:
    plan = plan_of(f"FROM busybox AS a\nRUN x\nFROM busybox AS {name}\nRUN y\n")
    assert str(failure(plan)) == "a stage name already used"
    assert steps(plan) == ["1/4 FROM busybox AS a", "2/4 RUN x"]


def test_a_name_repeated_after_the_target_does_not_matter() -> None:
    assert len(plan_of("FROM busybox AS a\nFROM busybox AS a\n", target="a").nodes) == 1


def test_args_before_from() -> None:
    plan = plan_of(
        "ARG IMAGE=busy\nARG TAIL=b$NOPE\nARG B=${IMAGE}${TAIL}ox\nFROM ${B}\nRUN x\nARG B\nRUN y\n",
        build_args={"IMAGE": "bus", "TAIL": "yb"},
    )
    assert [step.text for step in plan.preamble] == [
        "ARG IMAGE=busy",
        "ARG TAIL=b$NOPE",
        "ARG B=${IMAGE}${TAIL}ox",
    ]
    assert steps(plan)[3:] == ["4/7 FROM ${B}", "5/7 RUN x", "6/7 ARG B", "7/7 RUN y"]
    assert plan.nodes[1].created_by == "/bin/sh -c x"
    assert target(plan).created_by == "|1 B=busybox /bin/sh -c y"
    assert plan.unused_build_args == ()


def test_a_bad_arg_before_from_fails_at_its_step() -> None:
    plan = plan_of("ARG A=1\nARG B=${A:?}${NOPE:?no}\nARG C\nFROM busybox\nRUN x\n")
    error = failure(plan)
    assert isinstance(error, DockerfileError)
    assert error.line == 2
    assert steps(plan) == ["1/5 ARG A=1", "2/5 ARG B=${A:?}${NOPE:?no}"]
    assert plan.nodes[-1].inputs == ()


def test_a_stage_sees_the_args_of_the_stage_it_is_from_and_of_no_other() -> None:
    dockerfile = "FROM busybox AS one\nARG A=1\nFROM one AS two\nARG B=2\nRUN x\nFROM one AS three\nRUN y\n"
    plan = plan_of(dockerfile, target="two")
    assert target(plan).created_by == "|2 A=1 B=2 /bin/sh -c x"
    plan = plan_of(dockerfile)
    assert target(plan).created_by == "|1 A=1 /bin/sh -c y"
    plan = plan_of("FROM busybox AS one\nARG A=1\nFROM busybox\nARG A\nRUN x\n")
    assert target(plan).created_by == "/bin/sh -c x"


def test_unused_build_args() -> None:
    plan = plan_of(
        "ARG G\nFROM busybox AS dropped\nARG D\nRUN x\nFROM busybox\nARG S\nONBUILD ARG T\n",
        build_args={"G": "1", "D": "1", "S": "1", "T": "1", "HTTP_PROXY": "p", "N": None},
    )
    assert plan.unused_build_args == ("N", "T")


def test_build_args_of_stages_behind_the_target_are_unused() -> None:
    plan = plan_of("FROM busybox AS a\nFROM a\nARG S\n", target="a", build_args={"S": "1"})
    assert plan.unused_build_args == ("S",)


def test_labels_of_the_request_are_steps_of_the_target() -> None:
    plan = plan_of(
        "FROM busybox AS one\nLABEL l1=own\nFROM one AS two\n", target="one", labels={"l2": "x", "l1": 'a "b" $V'}
    )
    assert steps(plan) == ["1/4 FROM busybox AS one", "2/4 LABEL l1=own", '3/4 LABEL l1=a "b" $V', "4/4 LABEL l2=x"]
    assert target(plan).config.labels == {"l1": 'a "b" $V', "l2": "x"}
    assert target(plan).last_of_stage
    plan = plan_of("FROM scratch\n", labels={"a": ""})
    assert target(plan).created_by == "/bin/sh -c #(nop)  LABEL a="


def test_triggers_of_the_base_come_first() -> None:
    plan = plan_of("FROM triggers\nRUN x\n")
    assert [node.created_by for node in plan.nodes] == [
        "",
        "/bin/sh -c #(nop)  ARG OB=1",
        "|1 OB=1 /bin/sh -c echo $OB",
        "/bin/sh -c #(nop)  ENV OB2=2",
        "/bin/sh -c #(nop) COPY \0 in /f ",
        "|1 OB=1 /bin/sh -c x",
    ]
    assert steps(plan) == ["1/2 FROM triggers", "2/2 RUN x"]
    assert [node.closes_step for node in plan.nodes] == [False, False, False, False, True, True]
    assert [node.triggers for node in plan.nodes] == [4, 0, 0, 0, 0, 0]
    assert plan.nodes[0].config.on_build is not None
    assert target(plan).config.on_build is None


def test_triggers_of_a_stage() -> None:
    plan = plan_of("FROM busybox AS a\nONBUILD USER u\nFROM a\nFROM a\nONBUILD RUN x\n")
    assert steps(plan) == ["1/4 FROM busybox AS a", "2/4 ONBUILD USER u", "3/4 FROM a", "4/4 ONBUILD RUN x"]
    assert [node.triggers for node in plan.nodes] == [0, 0, 1, 0, 0]
    assert target(plan).config.user == "u"
    assert target(plan).config.on_build == ("RUN x",)


def test_a_stage_that_only_a_trigger_needs_is_part_of_its_step() -> None:
    plan = plan_of("FROM busybox AS unneeded\nFROM triggers AS first\nRUN x\nFROM copies\nRUN y\n")
    assert steps(plan) == ["1/2 FROM copies", "2/2 RUN y"]
    assert [node.stage for node in plan.nodes] == [2, 1, 1, 1, 1, 1, 1, 2, 2]
    assert [node.closes_step for node in plan.nodes] == [False] * 7 + [True, True]
    assert [node.triggers for node in plan.nodes] == [1] + [0] * 8
    assert plan.nodes[7].inputs == (0, 6)
    assert [node.last_of_stage for node in plan.nodes] == [False] * 8 + [True]


def test_a_stage_that_a_trigger_needs_may_be_there_already() -> None:
    plan = plan_of("FROM busybox AS first\nRUN x\nFROM copies\nCOPY --from=first a b\n")
    assert steps(plan) == ["1/4 FROM busybox AS first", "2/4 RUN x", "3/4 FROM copies", "4/4 COPY --from=first a b"]
    assert plan.nodes[3].inputs == (2, 1)
    assert plan.nodes[3].closes_step


def test_a_stage_that_a_trigger_needs_may_fail() -> None:
    plan = plan_of("FROM gone AS first\nFROM copies\n")
    assert str(failure(plan)) == "No such image: gone:latest"
    assert steps(plan) == ["1/1 FROM copies"]
    plan = plan_of("FROM scratch AS first\nEXPOSE abc\nFROM copies\n")
    error = failure(plan)
    assert isinstance(error, DockerfileError)
    assert error.line == 2


def test_images_are_asked_for_in_their_place_and_not_before() -> None:
    images = Images()
    text = "ARG A\nFROM busybox AS a\nRUN x\nCOPY --from=bare a b\nCOPY --from=bare a b\n"
    text += "FROM triggers\nCOPY --from=a a b\n"
    compilation = Compilation(parse(text.encode()), build_args={}, labels={}, platform=LINUX, resolve=images)
    assert [step.text for step in compilation.preamble] == ["ARG A"]
    assert compilation.warnings == ()
    batches = compilation.batches()
    assert images.asked == []
    assert [node.created_by for node in next(batches)] == ["", "/bin/sh -c x"]
    assert images.asked == ["busybox"]
    assert len(next(batches)) == 3
    assert images.asked == ["busybox", "bare"]
    assert len(next(batches)) == 6
    assert images.places == [(0, "FROM busybox AS a"), (2, "COPY --from=bare a b"), (5, "FROM triggers")]
    assert list(batches) == []
    assert compilation.plan() == plan_of(text)


@pytest.mark.parametrize(
    ("name", "message"),
    [("badtrigger", "unknown instruction: FOO"), ("fromtrigger", "FROM isn't allowed as an ONBUILD trigger")],
)
def test_a_trigger_that_cannot_be_carried_out(name: str, message: str) -> None:
    plan = plan_of(f"\nFROM {name}\nRUN x\n")
    error = failure(plan)
    assert isinstance(error, DockerfileError)
    assert str(error) == message
    assert (error.line, error.source) == (2, f"FROM {name}")
    assert [node.triggers for node in plan.nodes] == [1, 0]
    assert plan.nodes[-1].step is None


def test_warnings_are_passed_on() -> None:
    plan = plan_of("FROM busybox\nRUN echo a \\\n\n  b\n")
    assert plan.warnings == parse(b"FROM busybox\nRUN echo a \\\n\n  b\n").warnings != ()


def test_the_escape_directive_reaches_the_words() -> None:
    plan = plan_of("# escape=`\nFROM busybox\nENV A=a`$b B=\\\n")
    assert target(plan).config.env == (PATH, "A=a$b", "B=\\")


def test_a_plan_does_not_grow_without_bound() -> None:
    doubling = "ENV a=$a$a\n" * 16
    with pytest.raises(DockerfileError, match="the Dockerfile is too large once its variables are expanded") as caught:
        plan_of("FROM busybox\nENV a=xxxxxxxx\n" + doubling + "USER $a\n" * 100)
    assert (caught.value.line, caught.value.source) == (80, "USER $a")


def test_triggers_do_not_multiply_without_bound() -> None:
    triggers = "FROM busybox AS a\n" + "ONBUILD LABEL a=b\n" * 200
    stages = "".join(f"FROM a AS b{n}\n" for n in range(100))
    copies = "".join(f"COPY --from=b{n} / /\n" for n in range(100))
    with pytest.raises(DockerfileError, match="there are more than 20000 instructions once triggers are counted"):
        plan_of(triggers + stages + "FROM busybox\n" + copies)


@pytest.mark.parametrize("line", ["WORKDIR /{}", "COPY {} /", "COPY a /{}", "ADD {} /", "RUN --mount=target=/{} true"])
def test_paths_that_no_file_can_have(line: str) -> None:
    error = str(failure(plan_of(f"FROM busybox\n{line.format('a/' * 2100)}\n")))
    assert error.endswith("...: file name too long: more than 4096 characters")
