from imagewright.filesystem import Change, Directory, Fifo, Opaque, Put, Whiteout, arrange

_DIRECTORY = Directory(mode=0o755)
_FIFO = Fifo(mode=0o600)


def test_arrange_puts_parents_first_and_contents_before_siblings() -> None:
    changes: list[Change] = [Put("a-b", _FIFO), Put("a/b", _FIFO), Whiteout("a/a"), Put("a", _DIRECTORY)]

    assert [change.path for change in arrange(changes).changes] == ["a", "a/a", "a/b", "a-b"]


def test_arrange_orders_the_changes_of_one_path() -> None:
    changes: list[Change] = [Opaque("a"), Put("a", _DIRECTORY), Whiteout("a")]

    assert arrange(changes).changes == (Whiteout("a"), Put("a", _DIRECTORY), Opaque("a"))


def test_arrange_keeps_the_last_of_two_puts() -> None:
    assert arrange([Put("a", _FIFO), Put("a", _DIRECTORY)]).changes == (Put("a", _DIRECTORY),)


def test_arrange_sorts_names_as_bytes() -> None:
    names = ["\uffff", "\udcff", "\udc80", "z"]

    assert [c.path for c in arrange(Put(name, _FIFO) for name in names).changes] == ["z", "\udc80", "\uffff", "\udcff"]
