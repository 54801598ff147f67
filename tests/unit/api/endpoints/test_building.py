import base64
import json
import re
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from imagewright.api import BuildLimits
from imagewright.engine import BuildRequest
from imagewright.reference import Reference
from unit.api.fake_daemon import FakeDaemon, context, running
from unit.api.fake_engine import FakeEngine, digest


def test_the_stream_of_a_build(daemon: FakeDaemon) -> None:
    reply = daemon.build("FROM scratch\nENV A=1\nRUN echo <hi>\nRUN warn oops\nONBUILD 2", "t=b/c:2&t=a")
    (image,) = daemon.engine.images
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    lines = reply.body.decode().splitlines(keepends=True)
    assert all(line.endswith("\r\n") for line in lines)
    text = re.sub(r"(Running in|container|---\\u003e) [0-9a-f]{12}", r"\1 ID", reply.body.decode())
    assert text.split("\r\n") == [
        '{"stream":"Step 1/5 : FROM scratch"}',
        r'{"stream":"\n"}',
        r'{"stream":" ---\u003e \n"}',
        '{"stream":"Step 2/5 : ENV A=1"}',
        r'{"stream":"\n"}',
        r'{"stream":" ---\u003e Using cache\n"}',
        r'{"stream":" ---\u003e ID\n"}',
        r'{"stream":"Step 3/5 : RUN echo \u003chi\u003e"}',
        r'{"stream":"\n"}',
        r'{"stream":" ---\u003e Running in ID\n"}',
        r'{"stream":"\u003chi\u003e\n"}',
        r'{"stream":"Removing intermediate container ID\n"}',
        r'{"stream":" ---\u003e ID\n"}',
        '{"stream":"Step 4/5 : RUN warn oops"}',
        r'{"stream":"\n"}',
        r'{"stream":" ---\u003e Running in ID\n"}',
        r'{"stream":"\u001b[91moops\n\u001b[0m"}',
        r'{"stream":"Removing intermediate container ID\n"}',
        r'{"stream":" ---\u003e ID\n"}',
        '{"stream":"Step 5/5 : ONBUILD 2"}',
        r'{"stream":"\n"}',
        '{"stream":"# Executing 2 build trigger"}',
        '{"stream":"s"}',
        r'{"stream":"\n"}',
        r'{"stream":" ---\u003e ID\n"}',
        f'{{"aux":{{"ID":"{image}"}}}}',
        rf'{{"stream":"Successfully built {image.short}\n"}}',
        r'{"stream":"Successfully tagged b/c:2\n"}',
        r'{"stream":"Successfully tagged a:latest\n"}',
        "",
    ]


def test_every_message_is_a_chunk(daemon: FakeDaemon) -> None:
    reply = daemon.build("FROM scratch\nRUN echo hi")
    assert reply.chunks is not None
    assert len(reply.chunks) == 11
    assert all(json.loads(chunk) and chunk.endswith(b"}\r\n") for chunk in reply.chunks)


@pytest.mark.parametrize(
    ("prefix", "shown"),
    [("", True), ("/v1.30", True), ("/v1.51", True), ("/v1.29", False), ("/v1.22", False), ("/v1.24", False)],
)
def test_results_of_stages_are_for_new_clients(daemon: FakeDaemon, prefix: str, shown: bool) -> None:
    assert any("aux" in message for message in daemon.build("FROM scratch", prefix=prefix).messages) is shown


def test_a_quiet_build_tells_the_id(daemon: FakeDaemon) -> None:
    reply = daemon.build("FROM scratch\nRUN echo hi", "q=1&t=a")
    (image,) = daemon.engine.images
    assert reply.messages == [{"stream": f"{image}\n"}]


def test_a_quiet_build_that_fails_tells_everything(daemon: FakeDaemon) -> None:
    reply = daemon.build("FROM scratch\nRUN echo hi\nRUN exit 3", "q=1")
    assert reply.status == 200
    assert [message.get("stream") for message in reply.messages][:2] == ["Step 1/3 : FROM scratch", "\n"]
    assert "hi\n" in reply.streamed
    assert reply.messages[-1]["errorDetail"]["code"] == 3
    assert not any("aux" in message for message in reply.messages)


def test_a_quiet_build_that_does_not_begin_is_a_plain_error(daemon: FakeDaemon) -> None:
    reply = daemon.build("FROM scratch\nFOO", "q=1")
    assert reply.status == 400


def test_a_run_that_fails_ends_the_stream(daemon: FakeDaemon) -> None:
    reply = daemon.build("FROM scratch\nRUN exit 3\nRUN echo never", "t=a")
    text = "The command '/bin/sh -c exit 3' returned a non-zero code: 3"
    assert reply.status == 200
    assert reply.messages[-1] == {"errorDetail": {"code": 3, "message": text}, "error": text}
    assert list(reply.messages[-1]) == ["errorDetail", "error"]
    assert "never" not in reply.streamed
    assert not daemon.engine.images


@pytest.mark.parametrize(
    ("body", "query", "message"),
    [
        (context("FROM scratch\nFOO"), "", "dockerfile parse error line 2: unknown instruction: FOO"),
        (b"", "", "Cannot locate specified Dockerfile: Dockerfile"),
        (context("FROM scratch"), "dockerfile=nope", "Cannot locate specified Dockerfile: nope"),
        (context("FROM scratch"), "t=UPPER", "t: invalid reference format: repository name must be lowercase"),
    ],
)
def test_errors_before_the_stream(daemon: FakeDaemon, body: bytes, query: str, message: str) -> None:
    for prefix in ("/v1.41", ""):
        reply = daemon.request("POST", f"{prefix}/build?{query}", body)
        assert (reply.status, reply.json) == (400, {"message": message})
    reply = daemon.request("POST", f"/v1.22/build?{query}", body)
    assert (reply.status, reply.body.decode()) == (400, f"{message}\n")


def test_an_unexpected_error_in_the_stream(daemon: FakeDaemon) -> None:
    reply = daemon.build("FROM scratch\nRUN exit x")
    assert reply.messages[-1] == {"errorDetail": {"message": "internal error"}, "error": "internal error"}


def test_parameters_reach_the_engine(daemon: FakeDaemon) -> None:
    body = context("", D=b"FROM scratch")
    query = "dockerfile=D&t=a&t=b:1&target=x&nocache=1&rm=0&networkmode=none&platform=linux%2Famd64"
    daemon.request("POST", f"/v1.31/build?{query}", body)
    wanted = BuildRequest(
        dockerfile="D",
        tags=(Reference.parse("a:latest"), Reference.parse("b:1")),
        target="x",
        no_cache=True,
        remove=False,
        network_mode="none",
    )
    assert daemon.engine.requests == [wanted]
    assert daemon.engine.contexts == [body]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": ""},
        {"Content-Encoding": "gzip", "Content-Type": "application/tar"},
        {"Content-Encoding": "identity"},
        {"X-Registry-Config": "bnVsbA=="},
        {"X-Registry-Config": "not base64"},
    ],
)
def test_headers_say_nothing_about_the_body(daemon: FakeDaemon, headers: dict[str, str]) -> None:
    reply = daemon.request("POST", "/build", context("FROM scratch"), headers)
    assert reply.status == 200
    assert daemon.engine.contexts == [context("FROM scratch")]


def test_intermediate_images_are_named(daemon: FakeDaemon) -> None:
    assert f" ---> {digest('RUN echo a').short}\n" in daemon.build("RUN echo a").streamed


FILES = "outputs=%5B%7B%22Type%22%3A%22tar%22%7D%5D"


def test_files_are_the_answer(daemon: FakeDaemon) -> None:
    reply = daemon.build("FROM scratch\nRUN echo hi", f"{FILES}&t=a")
    assert (reply.status, reply.headers["Content-Type"], reply.body) == (200, "application/x-tar", b"the files")
    assert daemon.engine.images


def test_a_failure_is_the_answer_instead_of_files(daemon: FakeDaemon) -> None:
    reply = daemon.build("FROM scratch\nRUN echo before\nENV A=1\nRUN echo hi\nRUN exit 3", FILES)
    assert reply.status == 500
    assert json.loads(reply.body)["message"] == "The command '/bin/sh -c exit 3' returned a non-zero code: 3"


def test_old_clients_get_messages(daemon: FakeDaemon) -> None:
    assert daemon.build("FROM scratch", FILES, prefix="/v1.39").headers["Content-Type"] == "application/json"


def test_a_build_is_cancelled_by_its_id(daemon: FakeDaemon) -> None:
    with ThreadPoolExecutor() as pool:
        build = pool.submit(daemon.build, "FROM scratch\nRUN wait", "buildid=mine&t=never&version=1")
        assert daemon.engine.waiting.wait(10)
        assert daemon.request("POST", "/build/cancel?id=another").status == 200
        assert not build.done()
        reply = daemon.request("POST", "/v1.39/build/cancel?id=mine")
        assert (reply.status, reply.body, reply.headers["Content-Length"]) == (200, b"", "0")
        assert build.result(10).messages[-2:] == [
            {"stream": "Build cancelled\n"},
            {"errorDetail": {"message": "Build cancelled"}, "error": "Build cancelled"},
        ]


@pytest.mark.parametrize("query", ["", "?id=", "?buildid=x"])
def test_a_cancel_without_an_id(daemon: FakeDaemon, query: str) -> None:
    reply = daemon.request("POST", f"/build/cancel{query}")
    assert (reply.status, reply.json) == (400, {"message": "build ID not provided"})


def test_too_many_builds(tmp_path: Path) -> None:
    limits = BuildLimits(running=1, queued=1)
    with running(str(tmp_path / "s"), FakeEngine(), limits) as daemon, ThreadPoolExecutor() as pool:
        builds = [pool.submit(daemon.build, "FROM scratch\nRUN wait", "buildid=mine") for _ in range(3)]
        (refused,) = wait(builds, 10, FIRST_COMPLETED).done
        reply = refused.result()
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        assert reply.json == {"message": "too many builds are waiting: try again later"}
        assert daemon.engine.waiting.wait(10)
        daemon.request("POST", "/build/cancel?id=mine")
        builds.remove(refused)
        running_one, queued = sorted((build.result(10) for build in builds), key=lambda reply: reply.status)
        assert (running_one.status, running_one.streamed[-16:]) == (200, "Build cancelled\n")
        assert queued.json == {"message": "Build cancelled"}


def test_checks_build_nothing(daemon: FakeDaemon) -> None:
    reply = daemon.build("FROM scratch as a\nCMD b\n", "check=1&q=1&t=x")
    assert reply.status == 200
    assert reply.body.decode().split("\r\n") == [
        r'{"stream":"\u001b[91m[WARNING]: FromAsCasing\n\u001b[0m"}',
        r'{"stream":"\u001b[91m[WARNING]: JSONArgsRecommended\n\u001b[0m"}',
        r'{"stream":"Check complete: 2 warnings\n"}',
        "",
    ]
    assert daemon.engine.images == {}
    reply = daemon.build("FROM scratch\nUSER a\n", "check=true")
    assert reply.body.decode() == '{"stream":"Check complete: no warnings\\n"}\r\n'


def test_checks_of_what_is_no_dockerfile(daemon: FakeDaemon) -> None:
    reply = daemon.build("FOO\n", "check=1")
    assert reply.status == 400
    assert b"unknown instruction: FOO" in reply.body


def test_warnings_of_a_build(daemon: FakeDaemon) -> None:
    daemon.build("FROM scratch\n", "check=warn")
    assert daemon.engine.requests[-1].check
    assert len(daemon.engine.images) == 1


def test_secrets_come_in_a_header(daemon: FakeDaemon) -> None:
    document = {"token": base64.b64encode(b"hush").decode()}
    text = base64.urlsafe_b64encode(json.dumps(document).encode()).decode()
    reply = daemon.request("POST", "/build?q=1", context("FROM scratch"), {"X-Build-Secrets": text})
    assert reply.status == 200
    assert daemon.engine.requests[-1].secrets == {"token": b"hush"}
    assert "hush" not in repr(daemon.engine.requests[-1])


@pytest.mark.parametrize(
    ("value", "status", "message"),
    [
        ("hush-4711", 400, "X-Build-Secrets: the header must be base64 of a JSON object"),
        ("4711" * 20_000, 431, "the request line or a header field is too long"),
    ],
)
def test_a_header_that_cannot_be_read_is_not_quoted(
    daemon: FakeDaemon, capfd: pytest.CaptureFixture[str], value: str, status: int, message: str
) -> None:
    reply = daemon.request("POST", "/build", context("FROM scratch"), {"X-Build-Secrets": value})
    assert (reply.status, reply.json) == (status, {"message": message})
    assert not daemon.engine.requests
    said = "".join(capfd.readouterr())
    assert "/build" in said or status == 431
    assert "4711" not in said
