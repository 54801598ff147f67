from collections.abc import Mapping

import pytest

from imagewright.checks import RULES, Finding, Options, check
from imagewright.dockerfile import parse
from imagewright.filesystem import IgnorePatterns
from imagewright.oci import Platform, RunConfig

_PLATFORM = Platform("linux", "amd64")
_BASES = {"known": RunConfig(env=("GREETING=hi", "PATH=/bin"), on_build=("CMD from the base",)), "shelled": RunConfig()}


def find(
    text: str,
    *,
    experimental: bool = False,
    build_args: Mapping[str, str | None] | None = None,
    target: str = "",
    ignore: tuple[str, ...] = (),
) -> tuple[Finding, ...]:
    data = (("# check=experimental=all\n" if experimental else "") + text).encode()
    return check(
        parse(data),
        data,
        platform=_PLATFORM,
        build_args=build_args,
        target=target,
        ignore=IgnorePatterns.parse(ignore) if ignore else None,
        find_base=_BASES.get,
    )


def names(findings: tuple[Finding, ...]) -> list[tuple[str, int]]:
    return [(finding.rule.name, finding.span.start) for finding in findings]


_HITS: list[tuple[str, str, list[int]]] = [
    ("StageNameCasing", "FROM a AS Builder\n", [1]),
    ("StageNameCasing", "FROM a AS b\nFROM a AS b-C\n", [2]),
    ("FromAsCasing", "FROM a as b\n", [1]),
    ("FromAsCasing", "from a AS b\n", [1]),
    ("FromAsCasing", "FROM a As b\n", [1]),
    ("FromAsCasing", "FROM --platform=$BUILDPLATFORM a as b\n", [1]),
    ("NoEmptyContinuation", "FROM a\nRUN b \\\n\n  c\n", [3]),
    ("NoEmptyContinuation", "FROM a\nRUN b \\\n# c\n   \n  c\n", [4]),
    ("NoEmptyContinuation", "FROM a\nRUN b \\\n\n", [3]),
    ("NoEmptyContinuation", "# escape=`\nFROM a\nRUN b `\n\n\n c\n", [4]),
    ("ConsistentInstructionCasing", "FROM a\nrun b\nRUN c\n", [2]),
    ("ConsistentInstructionCasing", "from a\nrun b\nRUN c\n", [3]),
    ("ConsistentInstructionCasing", "FROM a\nRun b\n", [2]),
    ("ConsistentInstructionCasing", "FROM a\nrun b\n", [2]),  # a draw is for upper case
    ("DuplicateStageName", "FROM a AS b\nFROM c AS B\nFROM d AS b\n", [2, 3]),
    ("ReservedStageName", "FROM a AS scratch\nFROM b AS context\n", [1, 2]),
    ("JSONArgsRecommended", "FROM a\nCMD b\nENTRYPOINT c\n", [2, 3]),
    ("JSONArgsRecommended", "FROM a\nCMD\n", [2]),
    ("JSONArgsRecommended", 'FROM a AS b\nSHELL ["x"]\nFROM a\nCMD b\n', [4]),
    ("JSONArgsRecommended", "FROM known\n", [1]),  # by the base's trigger
    ("MaintainerDeprecated", "FROM a\nMAINTAINER b\n", [2]),
    ("UndefinedArgInFrom", "FROM a$B\n", [1]),
    ("UndefinedArgInFrom", "FROM scratch\nARG B=a\nFROM a$B\n", [3]),
    ("UndefinedArgInFrom", "FROM --platform=$B a\n", [1]),
    ("WorkdirRelativePath", "FROM a\nWORKDIR b\nWORKDIR c\n", [2]),
    ("WorkdirRelativePath", "FROM a\nENV b=c\nWORKDIR $b\n", [3]),
    ("WorkdirRelativePath", "FROM a AS b\nONBUILD WORKDIR c\nFROM b\n", [3]),
    ("UndefinedVar", "FROM scratch\nCOPY $a b\n", [2]),
    ("UndefinedVar", "FROM known\nENV A=$B\nENV A=$GREETINGS\n", [2, 3]),
    ("UndefinedVar", "FROM unknown\nARG VERSION\nARG B=2\nENV VERSION=1\nLABEL a=$VERSOIN\n", [5]),
    ("UndefinedVar", "FROM scratch\nARG A=$B\nARG B=1\n", [2]),
    ("UndefinedVar", "FROM scratch\nENV A=1 B=$A\n", [2]),
    ("UndefinedVar", "ARG A=1\nFROM scratch\nUSER $A\n", [3]),
    ("UndefinedVar", "FROM scratch AS a\nENV A=1\nFROM scratch\nVOLUME /$A\n", [4]),
    ("UndefinedVar", "FROM scratch\nCOPY <<EOF /a\n$A\nEOF\n", [2]),
    ("UndefinedVar", "FROM scratch\nRUN --mount=type=cache,target=/$A b\n", [2]),
    ("UndefinedVar", "FROM scratch\nSTOPSIGNAL $A\n", [2]),
    ("UndefinedVar", "FROM scratch\nCOPY --chown=$A b c\n", [2]),
    ("UndefinedVar", "FROM scratch AS a\nONBUILD WORKDIR /$A\nFROM a\n", [3]),
    ("MultipleInstructionsDisallowed", 'FROM a\nCMD ["b"]\nCMD ["c"]\nCMD ["d"]\n', [2, 3]),
    ("MultipleInstructionsDisallowed", 'FROM a\nENTRYPOINT ["b"]\nENTRYPOINT ["c"]\n', [2]),
    ("MultipleInstructionsDisallowed", "FROM a\nHEALTHCHECK NONE\nHEALTHCHECK CMD b\n", [2]),
    ("MultipleInstructionsDisallowed", 'FROM a AS b\nONBUILD CMD ["c"]\nFROM b\nCMD ["d"]\n', [3]),
    ("LegacyKeyValueFormat", "FROM a\nENV b c\nLABEL d e=f\n", [2, 3]),
    ("RedundantTargetPlatform", "FROM --platform=$TARGETPLATFORM a\nFROM --platform=${TARGETPLATFORM} a\n", [1, 2]),
    ("SecretsUsedInArgOrEnv", "FROM a\nARG API_KEY\nENV auth=b GITHUB_TOKEN=c\nENV mypassword=d\n", [2, 3, 3]),
    ("SecretsUsedInArgOrEnv", "FROM a AS b\nONBUILD ARG SECRET\nFROM b\n", [3]),
    ("InvalidDefaultArgInFrom", "ARG A\nFROM $A\n", [2]),
    ("InvalidDefaultArgInFrom", "ARG A\nFROM a:$A\n", [2]),
    ("InvalidDefaultArgInFrom", "ARG A=B C=1\nFROM $A\n", [2]),
    ("FromPlatformFlagConstDisallowed", "FROM --platform=linux/arm64 a\n", [1]),
    ("FromPlatformFlagConstDisallowed", "FROM --platform=arm64 a AS b\n", [1]),
    ("CopyIgnoredFile", "FROM a\nCOPY b/x /c\nADD ./b /c\nCOPY b.d q /e\n", [2, 3, 4]),
    ("InvalidDefinitionDescription", "# b\nARG a\n# c\nFROM d AS e\n", [2, 4]),
    ("InvalidDefinitionDescription", "FROM a\n# x y\nARG b c\n", [3]),
    ("ExposeProtoCasing", "FROM a\nEXPOSE 80/TCP 81/udp\n", [2]),
    ("ExposeProtoCasing", "FROM a\nARG p=80/Udp\nEXPOSE $p\n", [3]),
    ("ExposeInvalidFormat", "FROM a\nEXPOSE 80:81 1.2.3.4:80:81\nEXPOSE [::1]:80:81\n", [2, 2, 3]),
]

_IGNORE = ("b", "q")


@pytest.mark.parametrize(("rule", "text", "lines"), _HITS)
def test_rule_finds(rule: str, text: str, lines: list[int]) -> None:
    experimental = RULES[rule].experimental
    found = find(text, experimental=experimental, ignore=_IGNORE)
    # the directive that switches experimental rules on is a line too
    assert [line - experimental for name, line in names(found) if name == rule] == lines


def test_every_rule_has_a_case() -> None:
    assert {rule for rule, _, _ in _HITS} == set(RULES)
    assert len(RULES) == 21


_MISSES: list[tuple[str, str]] = [
    ("StageNameCasing", "FROM A:B AS b\n"),
    ("FromAsCasing", "from a as b\nFROM c AS D\n"),
    ("FromAsCasing", "From a as b\nFrom a AS b\n"),  # a keyword of mixed case is another rule's
    ("NoEmptyContinuation", "FROM a\nRUN b \\\n# c\n  d\n\nRUN <<E\nx \\\n\ny\nE\n"),
    ("NoEmptyContinuation", "FROM a\nRUN b \\\n"),
    ("NoEmptyContinuation", "FROM a\nRUN b \\\\\n\nRUN c\n"),
    ("ConsistentInstructionCasing", "arg a\nFROM b\nRUN c\nONBUILD run d\n"),  # before FROM, and inside ONBUILD
    ("DuplicateStageName", "FROM a AS b\nFROM a\nFROM a\n"),
    ("ReservedStageName", "FROM scratch AS scratchy\n"),
    ("JSONArgsRecommended", 'FROM a\nCMD ["b"]\nENTRYPOINT []\nHEALTHCHECK CMD c\nRUN d\nONBUILD CMD e\n'),
    ("JSONArgsRecommended", 'FROM a AS b\nSHELL ["x"]\nFROM b\nCMD c\n'),
    ("MaintainerDeprecated", "FROM a\nLABEL maintainer=b\n"),
    ("UndefinedArgInFrom", "ARG B\nFROM --platform=$BUILDPLATFORM a${B}${C:-d}${E+f}$TARGETARCH\n"),
    ("WorkdirRelativePath", "FROM a AS b\nWORKDIR /c\nWORKDIR d\nFROM b\nWORKDIR e\nWORKDIR $x/f\n"),
    ("UndefinedVar", "FROM scratch\nENV A=$PATH B=${C:-d} D=${E+f} G='$H' I=\\$J\nRUN $K\nCMD $L\nEXPOSE $M\n"),
    ("UndefinedVar", "FROM unknown\nENV PATH=$JAVA_HOME/bin:$PATH\n"),
    ("UndefinedVar", "FROM known\nENV A=$GREETING\n"),
    ("UndefinedVar", "FROM scratch AS a\nARG A\nENV B=1\nFROM a\nUSER $A$B\n"),
    ("UndefinedVar", "FROM scratch\nARG BUILDKIT_SBOM_SCAN_STAGE\nENV A=$BUILDKIT_SBOM_SCAN_CONTEXT\n"),
    ("UndefinedVar", "FROM scratch\nCOPY <<'EOF' /a\n$A\nEOF\n"),
    ("UndefinedVar", "FROM scratch\nUSER ${A?}\n"),  # the build fails with a message of its own
    ("MultipleInstructionsDisallowed", 'FROM a AS b\nCMD ["c"]\nFROM b\nCMD ["d"]\nENTRYPOINT ["e"]\nRUN f\nRUN g\n'),
    ("LegacyKeyValueFormat", "FROM a\nENV b=c d=e\nLABEL f='g h'\nENV i=\nENV j=k l=m\n"),
    ("RedundantTargetPlatform", "FROM --platform=$BUILDPLATFORM a\nFROM --platform=$TARGETOS/$TARGETARCH b\n"),
    ("RedundantTargetPlatform", "FROM --platform=${TARGETPLATFORM}$X b\n"),
    ("SecretsUsedInArgOrEnv", "ARG TOKEN\nFROM a\nARG PUBLIC_KEY KEYBOARD\nENV TOKEN_FILE=b MONKEY=c KEY_VERSION=1\n"),
    ("SecretsUsedInArgOrEnv", "FROM a\nLABEL token=b\nONBUILD ARG SECRET\n"),
    ("InvalidDefaultArgInFrom", "ARG A=b\nFROM $A\nFROM A:b\nFROM ${C:-d}\n"),
    (
        "FromPlatformFlagConstDisallowed",
        "FROM --platform=linux/arm64 a AS b-arm64\nFROM --platform=linux/amd64 a AS linux\n",
    ),
    ("FromPlatformFlagConstDisallowed", "ARG A=linux/arm64\nFROM --platform=$A a\nFROM --platform=a/b/c/d e\n"),
    ("CopyIgnoredFile", "FROM a AS x\nFROM b\nCOPY --from=x b /c\nCOPY bb . /\nADD http://b/b git@b:b /c/\n"),
    (
        "InvalidDefinitionDescription",
        "# a says\nARG a\n# b\n\nFROM c AS d\n# e\n#\nARG f\n# g\nFROM h\n# i\nRUN j\n# c d\nARG b c\n",
    ),
    ("ExposeProtoCasing", "FROM a\nEXPOSE 80/tcp 81 82/sctp\n"),
    ("ExposeInvalidFormat", "FROM a\nEXPOSE 80 81-82/tcp\n"),
]


@pytest.mark.parametrize(("rule", "text"), _MISSES)
def test_rule_passes(rule: str, text: str) -> None:
    found = find(text, experimental=RULES[rule].experimental, ignore=("b",))
    assert [finding for finding in found if finding.rule.name == rule] == []


def test_findings_are_in_the_order_of_lines_and_tell_what_and_where() -> None:
    found = find("from a AS B\nCMD b \\\n  c\nMAINTAINER d\n")
    assert names(found) == [
        ("StageNameCasing", 1),
        ("FromAsCasing", 1),
        ("ConsistentInstructionCasing", 1),
        ("JSONArgsRecommended", 2),
        ("MaintainerDeprecated", 4),
    ]
    finding = found[3]
    assert (finding.span.end, finding.source) == (3, "CMD b \\")
    assert "CMD" in finding.message
    assert finding.rule.url == "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ARG VERSION=1\nFROM a:$VERSOIN\n", "(did you mean VERSION?)"),
        ("FROM --platform=$BULDPLATFORM a\n", "(did you mean BUILDPLATFORM?)"),
        ("FROM scratch\nENV NAME=1\nUSER $NAMES\n", "(did you mean $NAME?)"),
        ("FROM a:$QQQ\n", "'QQQ'"),
    ],
)
def test_hints(text: str, hint: str) -> None:
    assert find(text)[0].message.endswith(hint)


def test_build_args_count() -> None:
    text = "ARG BASE\nFROM $BASE\nARG V=$BASES\nWORKDIR $V\n"
    assert names(find(text, build_args={"BASE": "scratch", "V": "/v"})) == [("InvalidDefaultArgInFrom", 2)]
    text = "FROM --platform=$TARGETPLATFORM a\n"
    assert names(find(text, build_args={"TARGETPLATFORM": "linux/arm64"})) == [("RedundantTargetPlatform", 1)]


_STAGES = """FROM a AS b
CMD b
FROM a AS c
CMD c
FROM c AS d
COPY --from=e x y
RUN --mount=type=bind,from=g f
FROM a AS e
CMD e
FROM a AS Last
CMD last
"""


@pytest.mark.parametrize(
    ("target", "lines"),
    [
        ("", [2, 4, 9, 11]),
        ("b", [2]),
        ("d", [4]),  # no later stage is ever a source
        ("LAST", [11]),
        ("1", [4]),
        ("nope", [2, 4, 9, 11]),
    ],
)
def test_target(target: str, lines: list[int]) -> None:
    found = names(find(_STAGES, target=target))
    assert [line for name, line in found if name == "JSONArgsRecommended"] == lines
    assert ("StageNameCasing", 10) in found


def test_stages_named_by_copy_and_mounts_are_looked_at() -> None:
    text = "FROM a AS b\nCMD b\nFROM a AS c\nCMD c\nFROM scratch AS d\nRUN --mount=from=b x\nCOPY --from=1 y z\n"
    assert names(find(text, target="d")) == [("JSONArgsRecommended", 2), ("JSONArgsRecommended", 4)]


@pytest.mark.parametrize(
    ("patterns", "source", "found"),
    [
        (("*",), ".", True),
        (("**/*",), "/", True),
        (("b", "!b/c"), "b", False),
        (("b/c",), "b/c/d", True),
        (("b/c",), "b", False),
        (("b",), "/b", True),
    ],
)
def test_ignored_sources(patterns: tuple[str, ...], source: str, found: bool) -> None:
    text = f"FROM a\nCOPY {source} /x\n"
    assert bool(find(text, experimental=True, ignore=patterns)) == found
    assert find(text, ignore=patterns) == ()
    assert find(text, experimental=True) == ()


def test_triggers_that_are_wrong_are_passed_over() -> None:
    assert find("FROM a AS b\nONBUILD NOPE x\nFROM b\n") == ()


def test_word_that_cannot_be_expanded_is_passed_over_and_others_are_not() -> None:
    text = "FROM scratch\nENV A=${B\nCOPY ${C:x} $D\nEXPOSE ${\nCOPY <<E /x\n${\nE\nFROM ${\n"
    assert names(find(text)) == [("UndefinedVar", 3)]


def test_byte_order_mark_and_line_ends_of_windows() -> None:
    data = b"\xef\xbb\xbfFROM a\r\nRUN b \\\r\n\r\n c\r\nCMD \xff\r\n"
    found = check(parse(data), data, platform=_PLATFORM)
    assert names(found) == [("NoEmptyContinuation", 3), ("JSONArgsRecommended", 5)]
    assert found[1].source == "CMD \ufffd"


def test_directives_describe_nothing() -> None:
    assert find("FROM scratch AS b\n", experimental=True) == ()


def test_platform_and_names_that_cannot_be_expanded_are_passed_over() -> None:
    assert find("FROM --platform=${ a\nENV ${=1\n") == ()
    assert names(find('FROM a AS b\nSHELL ["x"]\nFROM shelled\nCMD c\n')) == [("JSONArgsRecommended", 4)]


def test_options_may_come_from_elsewhere() -> None:
    data = b"# check=nonsense\nFROM a\nCMD b\n"
    found = check(parse(data), data, platform=_PLATFORM, options=Options())
    assert names(found) == [("JSONArgsRecommended", 3)]


_HUGE: dict[str, str] = {
    "doubling": "ENV A=1\n" + "ENV A=$A$A\n" * 2_000,
    "copies": "ENV A=1\n" + "ENV A=$A$A\n" * 20 + f"ENV B={'$A' * 400}\n" * 100,
    "slips": "".join(f"ENV VARIABLE_{number}_OF_MANY=1\nUSER $VARIABLE_{number}_OF_MANX\n" for number in range(4_000)),
    "triggers": "ONBUILD USER $NONE\n" * 4_000 + "FROM a\n" * 4_000,
    "chain": "".join(f"FROM a{number} AS a{number + 1}\nENV A{number}=1\n" for number in range(500)),
    "names": "FROM $AUTOMATIC\n" * 2_000,
    "continuations": "RUN a \\\n\n" + "  b \\\n" * 50_000 + "\n",
}


@pytest.mark.parametrize("text", _HUGE.values(), ids=_HUGE)
@pytest.mark.timeout(60)
def test_work_does_not_grow_faster_than_the_file(text: str) -> None:
    assert isinstance(find("FROM scratch AS a\n" + text), tuple)
