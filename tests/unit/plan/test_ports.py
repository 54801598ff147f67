import pytest

from imagewright.errors import InvalidInput
from imagewright.plan.ports import parse_ports


# What the engine's image has for an EXPOSE of this text.
@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", ["80/tcp"]),
        ("53/UDP", ["53/udp"]),
        ("80/SCTP", ["80/sctp"]),
        ("80/UDP/x", ["80/udp"]),
        ("80/", ["80/tcp"]),
        ("100-102", ["100/tcp", "101/tcp", "102/tcp"]),
        ("080", ["80/tcp"]),
        ("0", ["0/tcp"]),
        ("65535", ["65535/tcp"]),
        ("80:90", ["90/tcp"]),
        (":1", ["1/tcp"]),
        ("::1", ["1/tcp"]),
        ("127.0.0.1:80:90", ["90/tcp"]),
        ("1.2.3.4::5", ["5/tcp"]),
        ("[::1]:80:81", ["81/tcp"]),
        ("[1.2.3.4]:5:6", ["6/tcp"]),
        ("1-2:3", ["3/tcp"]),
        ("1000-1001:2000-2001/udp", ["2000/udp", "2001/udp"]),
    ],
)
def test_ports(text: str, ports: list[str]) -> None:
    assert list(parse_ports(text)) == ports


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", "Invalid containerPort: abc"),
        ("80-", "Invalid containerPort: 80-"),
        ("-80", "Invalid containerPort: -80"),
        ("90-80", "Invalid containerPort: 90-80"),
        ("70000", "Invalid containerPort: 70000"),
        ("0x50", "Invalid containerPort: 0x50"),
        ("+80", "Invalid containerPort: +80"),
        ("٣", "Invalid containerPort: ٣"),
        ("9" * 5000, f"Invalid containerPort: {'9' * 5000}"),
        ("80/foo", "Invalid proto: foo"),
        ("/tcp", "No port specified: /tcp<empty>"),
        ("1:", "No port specified: 1:<empty>"),
        ("x:80", "Invalid hostPort: x"),
        ("81/tcp:82", "Invalid hostPort: 81/tcp"),
        ("1.2.3.4:x:6/foo", "Invalid hostPort: x"),
        ("5-:6/foo", "Invalid hostPort: 5-"),
        ("1-2:3-5", "Invalid ranges specified for container and host Ports: 3-5 and 1-2"),
        ("foo:80:81", "Invalid ip address: foo"),
        ("a:b:c:d", "Invalid ip address a:b: address a:b:: too many colons in address"),
        ("[::1]:1", "Invalid ip address [:: address [::: missing ']' in address"),
        ("[::1]x:5:6", "Invalid ip address [::1]x: address [::1]x:: missing port in address"),
        ("[::1]:x:5:6", "Invalid ip address [::1]:x: address [::1]:x:: too many colons in address"),
    ],
)
def test_bad_ports(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_ports(text)
    assert str(caught.value) == message
