from imagewright.sandbox import Attachment
from imagewright.sandbox.attached import detached
from imagewright.sandbox.runtime import run_arguments


def test_an_interrupt_reaches_what_runs() -> None:
    attachment, sent = Attachment(), list[str]()
    attachment.interrupt()
    with attachment.bound(lambda: sent.append("interrupt")):
        attachment.interrupt()
    attachment.interrupt()
    assert sent == ["interrupt"]
    assert attachment.streams == (0, 1, 2)


def test_a_container_is_let_go() -> None:
    arguments = run_arguments("run", "/b", "id", configuration="/b")
    assert detached(arguments) == [*arguments[:5], "--detach", *arguments[5:]]
    assert arguments[4] == "run"
