from typing import Any

import pytest

from imagewright.dockerfile import From, parse_instruction
from imagewright.errors import InvalidInput
from imagewright.filesystem import ModeChange
from imagewright.oci import Healthcheck, Platform, RunConfig
from imagewright.plan.ops import AddFiles, Configure, CopyFiles, Document, MakeDirectory, Remote, RunCommand
from imagewright.plan.translation import StageState, Translation, label, translate
from imagewright.plan.variables import BuildArgs, Scope

PATH = "PATH=/bin"
SOURCES = {"base": 3, "1": 4}


def begin(config: RunConfig | None = None, **build_args: str) -> StageState:
    platform = Platform("linux", "amd64")
    args = BuildArgs(build_args, platform=platform, build_platform=platform)
    return StageState(config or RunConfig(env=(PATH,)), Scope(args), "\\", SOURCES.__getitem__)


def run(state: StageState, *texts: str) -> Translation:
    """Translate all of `texts` in turn and return the last translation."""
    for text in texts:
        translation = translate(parse_instruction(text), state)
    return translation


# The instructions of one stage, whose base has PATH=/bin and a CMD; the history text of the last of them; and what the
# configuration has then. All as the classic engine has it.
@pytest.mark.parametrize(
    ("texts", "recorded", "fields"),
    [
        (['ENV X=1 Y="a b" Z=$PATH'], "ENV X=1 Y=a b Z=/bin", {"env": (PATH, "X=1", "Y=a b", "Z=/bin")}),
        (["ENV X=1", "ENV OLD form $X  here"], "ENV OLD=form 1  here", {"env": (PATH, "X=1", "OLD=form 1  here")}),
        (
            ["ENV a=b a=c PATH=/x:$PATH PATH=$PATH:/y"],
            "ENV a=b a=c PATH=/x:/bin PATH=/bin:/y",
            {"env": ("PATH=/bin:/y", "a=c")},
        ),
        (["ENV X=1", """LABEL l="x y" m=$X n='$X' $X=a"""], "LABEL l=x y m=1 n=$X 1=a",
         {"labels": {"l": "x y", "m": "1", "n": "$X", "1": "a"}}),
        (["MAINTAINER foo $X"], "MAINTAINER foo $X", {}),
        (["ARG A"], "ARG A", {}),
        (["ARG q=\"x\" r='y $q' s=\"$q-$b\" b"], "ARG q=x r=y $q s=- b", {}),
        (["EXPOSE 80 90/udp"], "EXPOSE 80 90/udp", {"exposed_ports": {"80/tcp": {}, "90/udp": {}}}),
        (['ENV P="80 81"', "EXPOSE $P 9$P $NO"], "EXPOSE 80 81 980 81",
         {"exposed_ports": {"80/tcp": {}, "81/tcp": {}, "980/tcp": {}}}),
        (['EXPOSE ""'], "EXPOSE ", {"exposed_ports": None}),
        (["VOLUME /v /w"], "VOLUME [/v /w]", {"volumes": {"/v": {}, "/w": {}}}),
        (['ENV P="/a /b"', "VOLUME $P /c$P"], "VOLUME [/a /b /c/a /b]", {"volumes": {"/a /b": {}, "/c/a /b": {}}}),
        (["USER nobody:$HOME"], "USER nobody:", {"user": "nobody:"}),
        (["STOPSIGNAL SIGTERM"], "STOPSIGNAL SIGTERM", {"stop_signal": "SIGTERM"}),
        (["CMD echo hi $X"], 'CMD ["/bin/sh" "-c" "echo hi $X"]', {"cmd": ("/bin/sh", "-c", "echo hi $X")}),
        (['CMD ["a", "b"]'], 'CMD ["a" "b"]', {"cmd": ("a", "b")}),
        (["CMD []"], "CMD []", {"cmd": ()}),
        (["CMD"], 'CMD ["/bin/sh" "-c"]', {"cmd": ("/bin/sh", "-c")}),
        (["ENTRYPOINT foo bar"], 'ENTRYPOINT ["/bin/sh" "-c" "foo bar"]',
         {"entrypoint": ("/bin/sh", "-c", "foo bar"), "cmd": None}),
        (["CMD c", 'ENTRYPOINT ["e"]'], 'ENTRYPOINT ["e"]', {"entrypoint": ("e",), "cmd": ("/bin/sh", "-c", "c")}),
        (["CMD", 'ENTRYPOINT ["e"]'], 'ENTRYPOINT ["e"]', {"entrypoint": ("e",), "cmd": None}),
        (["CMD c", "CMD []", "ENTRYPOINT []"], "ENTRYPOINT []", {"entrypoint": None, "cmd": None}),
        (["ENTRYPOINT"], "ENTRYPOINT []", {"entrypoint": None, "cmd": None}),
        (["HEALTHCHECK --interval=5s CMD a"], """HEALTHCHECK &{["CMD-SHELL" "a"] "5s" "0s" "0s" '\\x00'}""",
         {"healthcheck": Healthcheck(test=("CMD-SHELL", "a"), interval=5_000_000_000)}),
        (['HEALTHCHECK CMD ["a", "b"]'], """HEALTHCHECK &{["CMD" "a" "b"] "0s" "0s" "0s" '\\x00'}""",
         {"healthcheck": Healthcheck(test=("CMD", "a", "b"))}),
        (["HEALTHCHECK NONE"], """HEALTHCHECK &{["NONE"] "0s" "0s" "0s" '\\x00'}""",
         {"healthcheck": Healthcheck(test=("NONE",))}),
        (["ONBUILD   COPY  f   $X"], "ONBUILD COPY  f   $X", {"on_build": ("COPY  f   $X",)}),
    ],
)  # fmt: skip
def test_instructions_that_only_configure(texts: list[str], recorded: str, fields: dict[str, Any]) -> None:
    before = RunConfig(env=(PATH,), cmd=("base",), args_escaped=True)
    state = begin(before)
    translation = run(state, *texts)
    assert translation == Translation(Configure(recorded), f"/bin/sh -c #(nop)  {recorded}")
    for name, value in fields.items():
        assert getattr(state.config, name) == value
    assert state.config.args_escaped is not ("cmd" in fields or "entrypoint" in fields)


def test_a_label_of_the_request_is_taken_as_it_is() -> None:
    state = begin()
    recorded = """LABEL l1=a "b" $PATH"""
    assert label("l1", 'a "b" $PATH', state) == Translation(Configure(recorded), f"/bin/sh -c #(nop)  {recorded}")
    assert state.config.labels == {"l1": 'a "b" $PATH'}


def test_shell_is_recorded_by_the_new_shell() -> None:
    state = begin()
    assert run(state, 'SHELL ["/bin/sh", "-ec"]').created_by == "/bin/sh -ec #(nop)  SHELL [/bin/sh -ec]"
    assert run(state, "CMD a   b").created_by == '/bin/sh -ec #(nop)  CMD ["/bin/sh" "-ec" "a   b"]'
    assert run(state, "RUN echo  $X").created_by == "/bin/sh -ec echo  $X"
    assert run(state, "WORKDIR x").created_by == "/bin/sh -ec #(nop) WORKDIR /x"


def test_maintainer_sets_the_author() -> None:
    state = begin()
    run(state, "MAINTAINER jo $X")
    assert state.author == "jo $X"


def test_workdir_joins_and_keeps_an_absolute_path_as_written() -> None:
    state = begin()
    assert run(state, "WORKDIR a") == Translation(MakeDirectory("/a"), "/bin/sh -c #(nop) WORKDIR /a")
    assert run(state, "WORKDIR b/../c").op == MakeDirectory("/a/c")
    translation = run(state, "WORKDIR /q//x$PATH/../y")
    assert translation.op == MakeDirectory("/q/x/y")
    assert translation.created_by == "/bin/sh -c #(nop) WORKDIR /q//x/bin/../y"
    assert state.config.working_dir == "/q//x/bin/../y"


def test_run_sees_the_environment_and_the_args() -> None:
    state = begin(A="1", HTTP_PROXY="p")
    run(state, "ARG A", "ARG B=2", "ARG C=3", "ENV C=env", "USER u", "WORKDIR /w//x")
    assert run(state, "RUN echo hi") == Translation(
        RunCommand(
            argv=("/bin/sh", "-c", "echo hi"),
            env=(PATH, "C=env", "A=1", "B=2"),
            unrecorded_env=("HTTP_PROXY=p",),
            user="u",
            workdir="/w/x",
        ),
        "|2 A=1 B=2 /bin/sh -c echo hi",
    )


@pytest.mark.parametrize(
    ("text", "argv", "created_by"),
    [
        ('RUN ["echo", "a b"]', ("echo", "a b"), "echo a b"),
        ("RUN", ("/bin/sh", "-c"), "/bin/sh -c"),
        ("RUN --network=default --security=sandbox x", ("/bin/sh", "-c", "x"), "/bin/sh -c x"),
        ("RUN <<E\necho a\nE", ("/bin/sh", "-c", "echo a\n"), "/bin/sh -c echo a\n"),
        ("RUN cat <<E\na\nE", ("/bin/sh", "-c", "cat <<E\na\nE"), "/bin/sh -c cat <<E\na\nE"),
    ],
)
def test_forms_of_run(text: str, argv: tuple[str, ...], created_by: str) -> None:
    assert run(begin(), text) == Translation(RunCommand(argv=argv, env=(PATH,)), created_by)


def test_run_of_a_script() -> None:
    op = RunCommand(
        argv=("/bin/sh", "-c", "/dev/pipes/E"), env=(PATH,), script=Document("E", "#!/usr/bin/env python3\nprint()\n")
    )
    assert run(begin(), "RUN <<E\n#!/usr/bin/env python3\nprint()\nE").op == op


def test_a_base_without_environment() -> None:
    assert run(begin(RunConfig()), "RUN x").op == RunCommand(argv=("/bin/sh", "-c", "x"), env=())


def test_copy() -> None:
    state = begin()
    run(state, "ENV X=f Y=/q W=1:2", "WORKDIR /w")
    translation = run(state, 'COPY --chown=$W --chmod=0755 ["$X", "g", "$Y/a b/"]')
    assert translation == Translation(
        CopyFiles(sources=("f", "g"), destination="/q/a b/", workdir="/w", chown="1:2", chmod=0o755),
        "/bin/sh -c #(nop) COPY --chown=1:2\0 in /q/a b/ ",
    )


def test_filters_of_copy_and_add() -> None:
    state = begin()
    run(state, "ENV X=f")
    assert run(state, "COPY --parents --exclude=$X/* --exclude=!$X/a --chmod=u=rwX,go-w ./a/./b /d/").op == CopyFiles(
        sources=("./a/./b",),
        destination="/d/",
        chmod=ModeChange("u=rwX,go-w"),
        parents=True,
        exclude=("f/*", "!f/a"),
    )
    assert run(state, "ADD --exclude=$X a /d/").op == AddFiles(sources=("a",), destination="/d/", exclude=("f",))
    assert run(state, "COPY --parents=false a /d/").op == CopyFiles(sources=("a",), destination="/d/")


def test_copy_from_elsewhere_adds_an_input() -> None:
    assert run(begin(), "COPY --from=base a b").inputs == (3,)
    assert run(begin(), "COPY --from=1 --link a b") == Translation(
        CopyFiles(sources=("a",), destination="b", link=True), "/bin/sh -c #(nop) COPY \0 in b ", (4,)
    )


def test_copy_of_documents() -> None:
    state = begin()
    run(state, "ENV X=1")
    translation = run(state, "COPY <<A <<'B' f /d/\na $X\nA\nb $X\nB")
    assert translation.op == CopyFiles(
        sources=("f",), destination="/d/", documents=(Document("A", "a 1\n"), Document("B", "b $X\n"))
    )


@pytest.mark.parametrize(
    ("text", "unpack"), [("ADD a b", None), ("ADD --unpack a b", True), ("ADD --unpack=false a b", False)]
)
def test_add(text: str, unpack: bool | None) -> None:
    op = AddFiles(sources=("a",), destination="b", unpack=unpack)
    assert run(begin(), text) == Translation(op, "/bin/sh -c #(nop) ADD \0 in b ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RUN []", "No command specified"),
        ("COPY http://x/y /", "COPY failed: source can't be a URL for COPY"),
        ("COPY --chmod=z a b", "invalid chmod parameter: 'z'. it should be octal string and between 0 and 07777"),
        (
            "COPY --chmod=10000 a b",
            "invalid chmod parameter: '10000'. it should be octal string and between 0 and 07777",
        ),
        ("ENV $NOPE=x", "invalid environment variable: =x"),
        ("ENV A=${B:?needed}", 'failed to process "${B:?needed}": B: needed'),
        ("EXPOSE abc", "Invalid containerPort: abc"),
        ("VOLUME $NOPE", "VOLUME specified can not be an empty string"),
        ("WORKDIR $NOPE", "cannot normalize nothing"),
        ("STOPSIGNAL $NOPE", "Invalid signal: "),
    ],
)
def test_what_cannot_be_right(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        run(begin(), text)
    assert str(caught.value) == message


def test_an_arg_without_a_name_is_found_by_run() -> None:
    state = begin()
    assert run(state, "ARG $NOPE=3").created_by == "/bin/sh -c #(nop)  ARG =3"
    with pytest.raises(InvalidInput, match=r"^invalid environment variable: =3$"):
        run(state, "RUN x")


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("ADD https://x/y b/", (Remote("https://x/y"),)),
        ("ADD git@x:y b/", (Remote("git@x:y"),)),
        ("ADD a http://$X/y git://x/y ssh://x/y b/", ("a", *map(Remote, ("http://f/y", "git://x/y", "ssh://x/y")))),
        ("ADD github.com/x/y b/", ("github.com/x/y",)),
        ("ADD --checksum=sha256:$X http://x/y b/", (Remote("http://x/y", "sha256:f"),)),
        ("ADD --keep-git-dir git://x/y b/", (Remote("git://x/y", keep_git_dir=True),)),
    ],
)
def test_add_from_elsewhere(text: str, sources: tuple[str | Remote, ...]) -> None:
    state = begin()
    run(state, "ENV X=f")
    assert run(state, text).op == AddFiles(sources=sources, destination="b/")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ADD --checksum=sha256:1 a b", "checksum requires HTTP(S) or Git sources"),
        ("ADD --checksum=sha256:1 http://x/y http://x/z b/", "checksum can't be specified for multiple sources"),
    ],
)
def test_checksums_of_what_has_none(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        run(begin(), text)
    assert str(caught.value) == message


def test_how_a_run_is_confined() -> None:
    op = run(begin(), "RUN --network=none --security=insecure x").op
    assert op == RunCommand(argv=("/bin/sh", "-c", "x"), env=(PATH,), network="none", insecure=True)
    assert op.canonical()["security"] == "insecure"


def test_from_is_no_instruction_of_a_stage() -> None:
    with pytest.raises(InvalidInput, match=r"^FROM isn't allowed as an ONBUILD trigger$"):
        translate(From(image="x"), begin())
