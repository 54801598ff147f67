"""Requests for the list of images: every parameter, filter and version of the reference."""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

from support.differential import Request

__all__ = ["filters", "listing", "newer_versions", "versions"]

_TRUTH = ("", "0", "no", "false", "none", "False", "NONE", " 0 ", "1", "true", "True", "t", "f", "n", "off", "null")
_PARAMETERS = (
    "",
    *(f"all={quote_plus(value)}" for value in (*_TRUTH, "2", "-1")),
    *("all", "all=0&all=1", "all=1&all=0", "All=1", "ALL=1", "all=1&", "&all=1", "all=1&&digests=1"),
    *(
        "digests=1",
        "digests=0",
        "only_ids=1",
        "only_ids=0&all=0",
        "shared-size=1",
        "manifests=1",
        "unknown=x",
        "limit=1",
    ),
    *("filter=", "filters=", "filters=%7B%7D", "filters=null", "filters=%20", "filters=%7B%7D%20"),
    *("all=%zz", "all=%", "a;b", "all=1;digests=1", "x=%zz&all=1", "=1", "%61ll=1", "all=%00", "all=%ff"),
)
_NAMES = ("one", "one:1", "two", "ns/two", "*", "t*", "[", "nope", "ns/*", "localhost:5000/two", "two:2")
_LABELS: Sequence[Any] = (
    *(["k"], ["k=v1"], ["k=v2"], ["k=v1", "k=v2"], ["k", "loose"], ["k=v1", "loose=yes"], ["K"], ["K=upper"]),
    *(["empty"], ["empty="], ["x=a"], ["x=a=b"], ["a.b/c"], ["a.b/c=d=e"], ["nope"], [""], ["="], ["=v"], [" k"]),
    *([], ["k=*"], ["child"], ["turn=1"], ["k=v1 "], ["k", "k"]),
)
_DANGLING: Sequence[Any] = (
    *(["true"], ["false"], ["1"], ["0"], ["True"], ["t"], [""], ["true", "false"], ["true", "1"], [], ["false", "x"]),
    *(["yes"], [" true"], ["false", "false"], ["TRUE"]),
)
_POINTS = (
    *("one:1", "two:1", "two", "__one__", "sha256:__one__", "__one.12__", "sha256:__one.12__", "ns/two:1", "tie:a"),
    *(
        "tie:b",
        "docker.io/library/one:1",
        "child:1",
        "undated",
        "epoch",
        "future",
        "nope",
        "nope:1",
        "UPPER",
        "",
        "a b",
    ),
    *("sha256:" + "0" * 64, "sha512:" + "0" * 128, "one:1:1", "../one", "__loose.12__", "zone:1"),
)
_REFERENCES: Sequence[Any] = (
    *(["one"], ["one:1"], ["one:*"], ["*"], ["*:*"], ["*:1"], ["*/*"], ["*/*:*"], ["*/*/*"], ["t*"], ["t?o"], ["t??"]),
    *(["two"], ["two:1"], ["two:2"], ["two:[12]"], ["[ot]*"], ["[!o]*"], ["[^o]*"], ["[a-c]*"], ["ns/two"], ["ns/*"]),
    *(["*/two"], ["localhost:5000/two"], ["localhost:5000/*"], ["*/b:9"], ["docker.io/library/two"], ["library/two"]),
    *(["docker.io/two"], ["index.docker.io/two"], ["abc.example/x"], ["aa", "zz"], ["one:1", "two:2"], ["nope"]),
    *(["["], ["tw["], ["[]"], ["[a"], ["\\"], ["two\\"], ["\\two"], ["tw\\o"], [""], ["TWO"], ["two@*"], ["two:"]),
    *([], ["one", "["], ["one "], ["__one__"], ["sha256:__one__"], ["deep.example:8443/a/b/c"], ["deep*/*/*/*"]),
    *(["**"], ["***/**"], ["[]a]*"], ["[a-]*"], ["[-a]*"], ["[z-a]*"], ["two:?"], ["<none>"], ["<none>:<none>"]),
)
_UNTIL: Sequence[Any] = (["2020-06-01"], ["1600000000"], ["24h"], ["nonsense"], ["1h", "2h"])
# Left out is what the engine answers at random: several values of before or since, several unknown filters.
_COMBINED: Sequence[Any] = (
    {"label": ["k=v1"], "dangling": ["true"]},
    {"label": ["k=v1"], "dangling": ["false"]},
    {"label": ["k"], "reference": ["two:1"]},
    {"label": ["k"], "before": ["two:1"]},
    {"before": ["future"], "since": ["one:1"]},
    {"before": ["one:1"], "since": ["two:1"]},
    {"before": ["nope"], "since": ["nope:2"]},
    {"reference": ["["], "before": ["nope"]},
    {"reference": ["nope", "t*"], "dangling": ["false"]},
    {"reference": ["one"], "dangling": ["true"]},
    {"label": ["k"], "foo": ["x"]},
)
_UNKNOWN = ("foo", "id", "Dangling", "DANGLING", "label!", "", " ", "name", "<&>", "\u00fc", "is-official", "unused")
_MALFORMED = (
    *("{", "}", "[", "foo", "[]", '"x"', "1", "true", '{"dangling":"true"}', '{"dangling":true}', '{"dangling":null}'),
    *(
        '{"label":["k"]} x',
        '{"label":["k"]}{}',
        '{"dangling":{"true":false}}',
        '{"label":{"k":false}}',
        '{"label":[1]}',
    ),
    *('{"label":{"k":"v"}}', '{"label":{"k":1}}', '{"label":{"k":null}}', '{"label":[null]}', '{"label":[["k"]]}'),
    *(
        '{"label":["k"],}',
        "{'label':['k']}",
        '{"label"}',
        '{"label":}',
        '{"label":["k"',
        '{"a":{"b":{"c":true}}}',
        "nul",
    ),
    *('{"label":["k"],"label":["loose"]}', '{"reference":{"one":false}}', '{"before":{"two:1":false}}', "{}{}", "\x00"),
    *(
        "\ufeff{}",
        '{"label":["\\ud800"]}',
        '{"label":{}}',
        '{"reference":{}}',
        '{"before":{}}',
        '{"before":[]}',
        "-",
        "{}",
    ),
    *(
        '{"label":["k"],"dangling":1}',
        '{"foo":1}',
        '{"foo":[]}',
        "[[]]",
        '{"\\u0064angling":["true"]}',
        "\t{}\n",
        "NaN",
    ),
)


def filters(**values: Any) -> str:
    """Return the parameter of a list with these filters."""
    return f"filters={quote(json.dumps(values))}"


def _both_forms(name: str, values: Sequence[str]) -> Iterator[tuple[str, Any]]:
    yield f"{name}={json.dumps(list(values))}", {name: list(values)}
    yield f"{name} map={json.dumps(list(values))}", {name: dict.fromkeys(values, True)}


def _queries() -> Iterator[tuple[str, str]]:
    for parameters in _PARAMETERS:
        yield f"plain {parameters}", parameters
    for name in _NAMES:
        yield f"filter {name}", f"filter={quote(name)}"
        yield f"filter and reference {name}", f"filter={quote(name)}&{filters(reference=['one'])}"
    tables = {
        "label": _LABELS,
        "dangling": _DANGLING,
        "reference": _REFERENCES,
        "until": _UNTIL,
        "before": [[point] for point in _POINTS],
        "since": [[point] for point in _POINTS],
    }
    for name, table in tables.items():
        for values in table:
            for case, document in _both_forms(name, values):
                yield case, f"filters={quote(json.dumps(document))}"
    for document in _COMBINED:
        yield f"combined {json.dumps(document)}", f"filters={quote(json.dumps(document))}"
    for name in _UNKNOWN:
        yield f"unknown {name}", f"filters={quote(json.dumps({name: ['x']}))}"
    for text in _MALFORMED:
        yield f"malformed {text!r}", f"filters={quote(text)}"
    for values in (["true"], ["false"]):
        yield f"all and dangling {values}", f"all=1&{filters(dangling=values)}"
    yield "all and label", f"all=1&{filters(label=['child'])}"
    yield "all and before", f"all=1&{filters(before=['grand:1'])}"
    yield "all and since", f"all=1&{filters(since=['child:1'])}"
    yield "all and reference", f"all=1&{filters(reference=['*'])}"
    yield "two filters parameters", f"{filters(label=['k'])}&{filters(label=['nope'])}"
    yield "plus for a space", "filters={%22label%22:+[%22k%22]}"
    yield "much label", filters(label=["k"] * 3000)


def _case(case: str) -> str:
    return case.replace("[", "(").replace("]", ")")


def listing() -> Iterator[Request]:
    """Every parameter and filter at the newest version that the engine has, and where errors are plain text."""
    for version in ("1.41", "1.22"):
        for case, query in _queries():
            yield Request(f"{version} {_case(case)}", "GET", f"/v{version}/images/json?{query}")


_SHORT = (
    "",
    "all=1",
    "digests=1",
    "filter=one",
    "filter=t*",
    "filters=%7B",
    *(filters(label=["k"]), filters(foo=["x"])),
)


def versions() -> Iterator[Request]:
    """A short list of requests at every version that both have."""
    for version in ("1.21", "1.22", "1.23", "1.24", "1.25", "1.29", "1.30", "1.32", "1.39", "1.40", "1.41"):
        for query in _SHORT:
            yield Request(f"{version} {query}", "GET", f"/v{version}/images/json?{query}")
        for target in ("/images/full:1/json", "/images/full:1/history", "/images/nope/json"):
            yield Request(f"{version} {target}", "GET", f"/v{version}{target}")


def newer_versions() -> Iterator[Request]:
    """What imagewright answers at versions that the engine does not have, and at none, against its newest."""
    for version in ("", *(f"/v1.{minor}" for minor in range(42, 52))):
        for path in ("/images/json", "/images/json?all=1", "/images/full:1/json", "/images/full:1/history"):
            theirs = "/v1.41" if version else ""
            yield Request(f"{version or 'none'} {path}", "GET", f"{theirs}{path}", ours=f"{version}{path}")
