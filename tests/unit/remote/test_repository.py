import pytest

from imagewright.errors import InvalidInput
from imagewright.remote.repository import Repository, is_repository, parse_repository, resolve_submodule


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("https://h/x.git", True),
        ("http://h/x.git#v1:d", True),
        ("http://h/x.git#", False),
        ("http://h/.github/x", False),
        ("http://h/x.git?a", False),
        ("http://h/x", False),
        ("git://h/x", True),
        ("ssh://h/x", True),
        ("git@h:x", True),
        ("github.com/x/y", True),
        ("github.company/x", False),
        ("ftp://h/x.git", False),
        ("file:///x.git", False),
        ("ext::sh.git", False),
    ],
)
def test_what_is_meant_as_a_repository(text: str, meant: bool) -> None:
    assert is_repository(text) is meant


@pytest.mark.parametrize(
    ("text", "repository", "url"),
    [
        ("https://h/x.git", Repository("https", "", "h", 443, "/x.git"), "https://h/x.git"),
        ("http://h:80/x.git#", Repository("http", "", "h", 80, "/x.git"), "http://h/x.git"),
        (
            "http://u:p@h:8080/x.git#feat/x:a//./b/",
            Repository("http", "u:p", "h", 8080, "/x.git", "feat/x", "a/b"),
            "http://h:8080/x.git",
        ),
        ("git://[::1]:1/x#:/d", Repository("git", "", "::1", 1, "/x", "HEAD", "d"), "git://[::1]:1/x"),
        ("git://u@h/x", Repository("git", "", "h", 9418, "/x"), "git://h/x"),
        ("ssh://u@h:2222/x", Repository("ssh", "u", "h", 2222, "/x"), "ssh://u@h:2222/x"),
        ("git@h:x/y.git#v1", Repository("ssh", "git", "h", 22, "x/y.git", "v1"), "git@h:x/y.git"),
        ("git@[::1]:/x", Repository("ssh", "git", "::1", 22, "/x"), "ssh://git@[::1]/x"),
        ("github.com/x/y#v1", Repository("https", "", "github.com", 443, "/x/y", "v1"), "https://github.com/x/y"),
        ("https://bücher.example/x.git", Repository("https", "", "xn--bcher-kva.example", 443, "/x.git"), ""),
        ("git://h/x#a:b:c", Repository("git", "", "h", 9418, "/x", "a", "b:c"), "git://h/x"),
    ],
)
def test_repositories(text: str, repository: Repository, url: str) -> None:
    assert parse_repository(text) == repository
    assert not url or repository.url == url


@pytest.mark.parametrize(
    "ref",
    [
        *("--upload-pack=x", "-x", "+x", "a b", "a..b", "a~1", "a^", "a?", "a*", "a[b", "a\\b", "@{-1}", "a@{1}"),
        *("/a", "a/", "a//b", ".a", "a/.b", "a.", "a.lock", "a.lock/b", "a\x7f", "a\n", "x" * 251),
    ],
)
def test_refs_that_are_none(ref: str) -> None:
    with pytest.raises(InvalidInput, match="invalid refspec: "):
        parse_repository(f"https://h/x.git#{ref}")


@pytest.mark.parametrize("subdir", ["..", "../..", "a/../b", "/.."])
def test_directories_that_are_elsewhere(subdir: str) -> None:
    with pytest.raises(InvalidInput, match="forbidden path outside the build context"):
        parse_repository(f"https://h/x.git#:{subdir}")


@pytest.mark.parametrize(
    "text",
    [
        *("https:///x.git", "https://-h/x.git", "https://h h/x.git", "https://h\\x.git", "https://[::1/x.git"),
        *("https://h:99999/x.git", "https://h/x?a=.git", "https://h", "https://h/", "https://h/a b.git"),
        *("ssh://-oProxyCommand=x/y", "ssh://-o@h/x", "ssh://u:p@h/x", "ssh://a'b@h/x", "git://h/x\ny"),
        *(
            "git@h:",
            "git@-h:x",
            "git@h:-x",
            "git@h",
            "file:///x",
            "ext::sh -c id",
            "x",
            "ftp://h/x.git",
            "git://" + "." * 9,
        ),
    ],
)
def test_addresses_that_could_mean_something_else(text: str) -> None:
    with pytest.raises(InvalidInput, match="address"):
        parse_repository(text)


@pytest.mark.parametrize(
    ("parent", "address", "url"),
    [
        ("https://h/a/b.git", "../c.git", "https://h/a/c.git"),
        ("https://h/a/b.git/", "../../c", "https://h/c"),
        ("https://h/a/b.git", "./c", "https://h/a/b.git/c"),
        ("git@h:a/b", "../c", "git@h:a/c"),
        ("https://h/a", "git@g:x/y", "git@g:x/y"),
        ("https://h/a", "ssh://g/x", "ssh://g/x"),
    ],
)
def test_submodules(parent: str, address: str, url: str) -> None:
    module = resolve_submodule(parse_repository(f"{parent}#v1:d"), address, "abc")
    assert (module.url, module.ref, module.subdir) == (url, "abc", "")


def test_submodules_see_the_password_of_their_own_server_alone() -> None:
    parent = parse_repository("https://u:p@h/a/b")
    assert resolve_submodule(parent, "../c", "abc").user == "u:p"
    assert not resolve_submodule(parent, "https://h/a/c", "abc").user


@pytest.mark.parametrize("address", ["../../../c", "..", "../", "file:///x", "/x", "-x", "../a b"])
def test_submodules_that_are_refused(address: str) -> None:
    with pytest.raises(InvalidInput):
        resolve_submodule(parse_repository("https://h/a"), address, "abc")


def test_secrets_are_not_in_what_is_printed() -> None:
    assert "secret" not in repr(parse_repository("https://u:secret@h/x.git"))
