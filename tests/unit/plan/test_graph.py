from imagewright.plan import Configure, Node


def test_the_source_is_filled_in_once() -> None:
    node = Node(index=0, stage=0, op=Configure(""), created_by="/bin/sh -c #(nop) COPY \0 in /a\0 ")
    assert node.created_by_with("file:ab") == "/bin/sh -c #(nop) COPY file:ab in /a\0 "


def test_other_texts_stay() -> None:
    assert Node(index=0, stage=0, op=Configure(""), created_by="x").created_by_with("file:ab") == "x"
