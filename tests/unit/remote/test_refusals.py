import pytest

from imagewright.remote.program import Outcome
from imagewright.remote.refusals import explain
from imagewright.remote.repository import parse_repository

_REPOSITORY = parse_repository("git://host.invalid/x")


@pytest.mark.parametrize(
    ("errors", "status", "text"),
    [
        ("fatal: couldn't find remote ref x\n", 128, "fatal: couldn't find remote ref x\n: exit status 128"),
        ("fatal: remote error: secret\n", 128, "fatal: remote error\n: exit status 128"),
        ("fatal: protocol error: bad line length character: secr\n", 128, "fatal: protocol error\n: exit status 128"),
        ("remote: secret\nfatal: early EOF\nfatal: early EOF\n", 128, "fatal: early EOF\n: exit status 128"),
        ("fatal: secret /var/lib/x\n", 128, "exit status 128"),
        (
            "fatal: repository 'git://10.0.0.1:9418/x/' not found\n",
            128,
            "fatal: repository 'git://host.invalid/x/' not found\n: exit status 128",
        ),
        (
            "git@h: Permission denied (publickey,password).\r\nfatal: Could not read from remote repository.\n\nPlease",
            128,
            (
                "git@h: Permission denied (publickey,password).\nfatal: Could not read from remote repository.\n"
                ": exit status 128"
            ),
        ),
        (
            "fatal: unable to access 'https://h/x/': The requested URL returned error: 403\n",
            128,
            "fatal: unable to access 'https://h/x/': The requested URL returned error: 403\n: exit status 128",
        ),
        ("", -9, "git was killed\n: signal 9"),
        ("", 1, "exit status 1"),
    ],
)
def test_what_is_repeated(errors: str, status: int, text: str) -> None:
    assert explain(Outcome(status, b"", errors), _REPOSITORY, address="git://10.0.0.1:9418/x") == text
