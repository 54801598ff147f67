from imagewright.filesystem import Directory, Fifo, Layer, Node, Put, Symlink
from imagewright.filesystem.draft import Draft, DraftDirectory

_MADE = Directory(mode=0o755, uid=5)
_FIFO = Fifo(mode=0o600)


def _directory(mode: int = 0o755, **children: Node) -> Directory:
    return Directory(mode=mode, children=children)


_TREE = _directory(a=_directory(0o700, b=_FIFO), l=Symlink(mode=0o777, target="/a"))


def test_nothing_done_is_no_change() -> None:
    assert Draft(_TREE).finish() == Layer(())


def test_opened_directories_are_put_as_they_are_or_as_they_are_made() -> None:
    draft = Draft(_TREE)

    draft.open("a/n", _MADE)
    assert draft.finish().changes == (Put("a", _directory(0o700)), Put("a/n", _MADE))


def test_a_draft_shows_what_is_there_now() -> None:
    draft = Draft(_TREE)
    assert isinstance(draft.find(""), DraftDirectory)
    assert draft.find("a") is _TREE.children["a"]
    assert draft.find("a/b") is _FIFO
    assert draft.find("a/b/c") is None
    assert draft.find("n/x") is None

    draft.open("a", _MADE).children["n"] = _FIFO
    assert draft.find("a/n") is draft.find("a/b") is _FIFO


def test_links_are_followed_within_a_scope() -> None:
    draft = Draft(_TREE)

    assert draft.resolve("l/x", "") == "a/x"
    assert draft.resolve("l/x", "a") == "l/x"
    assert draft.resolve("l/x", "nowhere") == "l/x"


def test_a_directory_opened_again_takes_the_metadata_given() -> None:
    draft = Draft(_TREE)

    draft.root.open("a", None, _MADE).open("n", _directory(0o711), _MADE)
    draft.root.open("a", _directory(0o750), _MADE)
    assert draft.finish().changes == (Put("a", _directory(0o750)), Put("a/n", _directory(0o711)))
