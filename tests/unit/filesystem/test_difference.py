from imagewright.filesystem import EMPTY, Directory, Fifo, Layer, Node, Put, Symlink, Whiteout, apply, diff, find

_FIFO = Fifo(mode=0o600)


def _fifo() -> Fifo:
    return Fifo(mode=0o600)


def _directory(mode: int = 0o755, /, mtime_ns: int = 0, **children: Node) -> Directory:
    return Directory(mode=mode, mtime_ns=mtime_ns, children=children)


def test_equal_trees_do_not_differ() -> None:
    one, other = (_directory(a=_directory(b=_fifo()), l=Symlink(mode=0o777, target="a")) for _ in range(2))

    assert diff(one, other) == Layer(())
    assert diff(one, one) == Layer(())


def test_changes_come_with_their_parents() -> None:
    lower = _directory(a=_directory(0o700, b=_directory(0o711, c=_fifo(), d=_fifo()), e=_fifo()))
    upper = _directory(a=_directory(0o700, b=_directory(0o711, c=Fifo(mode=0o644)), e=_fifo(), f=_fifo()))

    assert diff(lower, upper).changes == (
        Put("a", _directory(0o700)),
        Put("a/b", _directory(0o711)),
        Put("a/b/c", Fifo(mode=0o644)),
        Whiteout("a/b/d"),
        Put("a/f", _FIFO),
    )


def test_a_new_directory_comes_with_all_in_it() -> None:
    upper = _directory(a=_directory(b=_directory(c=_FIFO)), z=_FIFO)

    assert [change.path for change in diff(EMPTY, upper).changes] == ["a", "a/b", "a/b/c", "z"]


def test_a_removed_directory_is_one_whiteout() -> None:
    assert diff(_directory(a=_directory(b=_FIFO)), EMPTY).changes == (Whiteout("a"),)


def test_a_directory_in_place_of_a_file_and_the_reverse() -> None:
    file, directory = _directory(a=_FIFO), _directory(a=_directory(b=_FIFO))

    assert diff(file, directory).changes == (Put("a", _directory()), Put("a/b", _FIFO))
    assert diff(directory, file).changes == (Put("a", _FIFO),)


def test_a_directory_changes_by_its_metadata_but_not_by_its_time_alone() -> None:
    lower = _directory(a=_directory(b=_FIFO), c=_directory(d=_FIFO))

    upper = _directory(a=_directory(0o700, b=_FIFO), c=_directory(mtime_ns=5, d=_FIFO))
    assert diff(lower, upper).changes == (Put("a", _directory(0o700)),)
    upper = _directory(a=_directory(b=_FIFO), c=_directory(mtime_ns=5))
    assert diff(lower, upper).changes == (Put("c", _directory(mtime_ns=5)), Whiteout("c/d"))


def test_the_parents_of_two_changes_are_put_once() -> None:
    lower = _directory(a=_directory(b=_directory(x=_FIFO), c=_directory(y=_FIFO), z=_FIFO))
    upper = _directory(a=_directory(b=_directory(), c=_directory()))

    paths = [change.path for change in diff(lower, upper).changes]
    assert paths == ["a", "a/b", "a/b/x", "a/c", "a/c/y", "a/z"]


def test_a_new_link_puts_all_its_names() -> None:
    one = _fifo()
    lower = _directory(a=_directory(x=one))
    upper = _directory(a=_directory(x=one), b=one)

    changes = diff(lower, upper).changes
    assert [change.path for change in changes] == ["a", "a/x", "b"]
    tree = apply(lower, diff(lower, upper))
    assert find(tree, "a/x") is find(tree, "b")


def test_a_broken_link_puts_the_later_name() -> None:
    linked = _fifo()
    lower = _directory(a=linked, b=linked)
    upper = _directory(a=_fifo(), b=_fifo())

    assert [change.path for change in diff(lower, upper).changes] == ["b"]
    assert diff(lower, _directory(a=linked)).changes == (Whiteout("b"),)


def test_a_link_inside_an_untouched_directory_is_seen() -> None:
    linked, shared = _fifo(), _directory(x=_fifo())
    lower = _directory(a=shared, b=linked, c=linked)

    assert diff(lower, _directory(a=shared, b=linked, c=linked)) == Layer(())


def test_the_root_itself_is_no_change() -> None:
    assert diff(EMPTY, _directory(0o700)) == Layer(())
