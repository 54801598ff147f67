from hypothesis import given, settings
from hypothesis import strategies as st

from imagewright.dockerfile import parse
from imagewright.errors import DockerfileError, NotFound
from imagewright.oci import Digest, ImageConfig, Platform, RunConfig
from imagewright.plan import (
    Base,
    Continue,
    Fail,
    Image,
    Place,
    Plan,
    Scratch,
    compile,  # noqa: A004 - the name of the verb in this field
)

LINUX = Platform("linux", "amd64")
TRIGGERS = ("RUN trigger", "COPY --from=s0 a b", "ENV T=1")

NAMES = st.sampled_from(["s0", "s1", "s2", "image", "triggers", "gone", "scratch", "$A", "0", "1"])
WORDS = st.sampled_from(["a", "$A", "${B:-x}", "'q'", '"$C d"', "${D:?no}", "/x", "80", "e=f", "A=1", "A=$A$A"])
INSTRUCTIONS = st.one_of(
    st.builds("COPY --from={} {} {}".format, NAMES, WORDS, WORDS),
    st.builds(
        "{} {}".format,
        st.sampled_from(
            ["RUN", "CMD", "ENTRYPOINT", "ENV", "ARG", "LABEL", "USER", "WORKDIR", "EXPOSE", "VOLUME", "ONBUILD RUN",
             "STOPSIGNAL", "ADD a", "COPY b"]
        ),
        WORDS,
    ),
)  # fmt: skip


@st.composite
def dockerfiles(draw: st.DrawFn) -> str:
    lines = draw(
        st.lists(st.builds("ARG {}".format, st.sampled_from(["A=image", "A", "B=$A", "C=${D:?no}"])), max_size=2)
    )
    for number in range(draw(st.integers(1, 4))):
        lines.append(f"FROM {draw(NAMES)} AS s{number}")
        lines += draw(st.lists(INSTRUCTIONS, max_size=4))
    return "\n".join(lines) + "\n"


def resolve(name: str, platform: Platform | None, place: Place, /) -> Base:
    assert platform is None
    assert place.node >= 0
    if name not in {"image", "triggers"}:
        raise NotFound(name)
    config = RunConfig(on_build=TRIGGERS) if name == "triggers" else None
    return Base(Digest.of(name.encode()), ImageConfig(architecture="amd64", os="linux", config=config))


def check_graph(plan: Plan) -> None:
    for index, node in enumerate(plan.nodes):
        assert node.index == index
        assert all(0 <= needed < index for needed in node.inputs)
        begins = isinstance(node.op, Scratch | Image | Continue)
        assert (node.created_by == "") == (begins or isinstance(node.op, Fail))
        assert all(isinstance(leaf, str) for pair in node.op.canonical().items() for leaf in pair)
        if not begins and not isinstance(node.op, Fail):
            assert plan.nodes[node.inputs[0]].stage == node.stage
    # Only what a trigger needs stands later than in the source.
    stages = [node.stage for node in plan.nodes if node.step or node.last_of_stage]
    assert stages == sorted(stages)
    assert plan.target == len(plan.nodes) - 1


def check_steps(plan: Plan) -> None:
    told = [*plan.preamble, *(node.step for node in plan.nodes if node.step)]
    assert [step.number for step in told] == list(range(1, len(told) + 1))
    assert {step.total for step in told} <= {told[0].total} if told else True
    failed = isinstance(plan.nodes[-1].op, Fail)
    assert not any(isinstance(node.op, Fail) for node in plan.nodes[:-1])
    if failed:
        return
    assert told[-1].number == told[-1].total
    # Every step that is opened is closed once, by a node of the same stage, before the next one is opened.
    opened = 0
    for node in plan.nodes:
        opened += node.step is not None
        opened -= node.closes_step
        assert opened in {0, 1}
    assert opened == 0


@settings(max_examples=300, deadline=None)
@given(dockerfiles(), st.sampled_from(["", "s0", "s1", "3"]), st.dictionaries(st.sampled_from("ABZ"), WORDS))
def test_whatever_parses_has_a_sound_plan(text: str, target: str, build_args: dict[str, str]) -> None:
    try:
        dockerfile = parse(text.encode())
        plan = compile(
            dockerfile, target=target, build_args=build_args, labels={"a": "b"}, platform=LINUX, resolve=resolve
        )
    except DockerfileError:
        return
    check_graph(plan)
    check_steps(plan)
    assert plan == compile(
        dockerfile, target=target, build_args=build_args, labels={"a": "b"}, platform=LINUX, resolve=resolve
    ) or isinstance(plan.nodes[-1].op, Fail)
