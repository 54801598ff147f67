from urllib.parse import quote

import pytest

from imagewright.api.build_surroundings import parse_surroundings
from imagewright.api.query import Query
from imagewright.engine import Limits, Surroundings, Ulimit
from imagewright.errors import InvalidInput


def surroundings(text: str) -> Surroundings:
    return parse_surroundings(Query.parse(text))


def test_nothing_asks_for_nothing() -> None:
    assert surroundings("") == Surroundings()
    assert surroundings("memory=0&memswap=&shmsize=0&ulimits=null&cpusetcpus=&cgroupparent=") == Surroundings()


def test_everything_at_once() -> None:
    text = (
        "memory=67108864&memswap=-1&cpushares=2&cpuperiod=50000&cpuquota=-1&cpusetcpus=0-1&cpusetmems=0&cgroupparent=/a"
        "&shmsize=4096&extrahosts=a:1.2.3.4&extrahosts=b:::1"
        "&ulimits=" + quote('[{"Name":"nofile","Hard":200,"Soft":100},{"name":"core","hard":-1}]')
    )
    assert surroundings(text) == Surroundings(
        limits=Limits(
            memory=64 << 20,
            memory_swap=-1,
            cpu_shares=2,
            cpu_period=50_000,
            cpu_quota=-1,
            cpuset_cpus="0-1",
            cpuset_mems="0",
            cgroup_parent="/a",
            ulimits=(Ulimit("nofile", 100, 200), Ulimit("core", 0, -1)),
        ),
        shm_size=4096,
        extra_hosts=("a:1.2.3.4", "b:::1"),
    )


@pytest.mark.parametrize("name", ["memory", "memswap", "cpushares", "cpuperiod", "cpuquota", "shmsize"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [("abc", "invalid syntax"), ("1e9", "invalid syntax"), ("64m", "invalid syntax"), ("1" * 31, "value out of range")],
)
def test_what_is_no_number_is_refused_by_name(name: str, value: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        surroundings(f"{name}={value}")
    assert str(raised.value) == f'{name}: strconv.ParseInt: parsing "{value}": {reason}'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", "invalid character 'x' looking for beginning of value"),
        ("{}", "json: cannot unmarshal object into Go value of type []*units.Ulimit"),
        ("[3]", "json: cannot unmarshal number into Go value of type units.Ulimit"),
        ('[{"Name":3}]', "json: cannot unmarshal number into Go struct field Ulimit.Name of type string"),
        ('[{"Soft":"a"}]', "json: cannot unmarshal string into Go struct field Ulimit.Soft of type int64"),
        ('[{"Hard":1.5}]', "json: cannot unmarshal number 1.5 into Go struct field Ulimit.Hard of type int64"),
        ('[{"Hard":1e30}]', "json: cannot unmarshal number 1e30 into Go struct field Ulimit.Hard of type int64"),
        (
            '[{"Hard":9223372036854775808}]',
            "json: cannot unmarshal number 9223372036854775808 into Go struct field Ulimit.Hard of type int64",
        ),
        ("[null]", "a resource limit cannot be null"),
        ("[" * 20000, "exceeded max depth"),
    ],
)
def test_ulimits_that_are_none(value: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        surroundings(f"ulimits={quote(value)}")
    assert str(raised.value) == f"error reading ulimit settings: {message}"
