import contextlib

from hypothesis import given
from hypothesis import strategies as st

from imagewright.errors import InvalidInput
from imagewright.reference import Reference

COMPONENTS = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,3}", fullmatch=True)
HOSTS = st.from_regex(r"([a-zA-Z0-9]{1,6}\.[a-z]{2,5}|localhost|\[::1\])(:[0-9]{1,5})?", fullmatch=True)
TAGS = st.just("") | st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
DIGESTS = st.just("") | st.from_regex(r"@sha256:[0-9a-f]{64}", fullmatch=True)


@st.composite
def reference_texts(draw: st.DrawFn) -> str:
    parts = draw(st.lists(COMPONENTS, min_size=1, max_size=4))
    hosts = st.sampled_from(["docker.io/", "index.docker.io/"]) | HOSTS.map(lambda host: f"{host}/")
    # Without a host, a first component with a dot would be taken for one, and `a_b.c` is none.
    host = draw(hosts if len(parts) > 1 and "." in parts[0] else st.just("") | hosts)
    return host + "/".join(parts) + draw(TAGS) + draw(DIGESTS)


@given(reference_texts())
def test_both_forms_are_read_back(text: str) -> None:
    reference = Reference.parse(text)
    assert Reference.parse(reference.canonical) == reference
    assert Reference.parse(reference.familiar) == reference
    assert len(reference.familiar) <= len(reference.canonical)


@given(st.text(max_size=80) | st.text(alphabet="aA0._-:/@[]", max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        reference = Reference.parse(text)
        assert Reference.parse(reference.canonical) == reference
        assert Reference.parse(reference.familiar) == reference


@given(reference_texts(), reference_texts())
def test_order_is_total(left: str, right: str) -> None:
    first, second = Reference.parse(left), Reference.parse(right)
    assert (first < second) == (str(first) < str(second))
    assert (first == second) == (str(first) == str(second))
