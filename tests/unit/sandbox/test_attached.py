from imagewright.sandbox import Attachment


def test_an_interrupt_reaches_what_runs() -> None:
    attachment, sent = Attachment(), list[str]()
    attachment.interrupt()
    with attachment.bound(lambda: sent.append("interrupt")):
        attachment.interrupt()
    attachment.interrupt()
    assert sent == ["interrupt"]
    assert attachment.streams == (0, 1, 2)
