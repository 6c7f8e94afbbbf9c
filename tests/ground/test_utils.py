from __future__ import annotations

import base64
import random
import socket

import pytest
import websockets.utils
from hypothesis import given
from hypothesis import strategies as st

from socketeer.utils import (
    FragmentEncoder,
    accept_key,
    apply_mask,
    generate_key,
    generate_mask,
    get_socket_name,
    setting,
)

# Settings


@pytest.mark.parametrize("default", [75, 3.1, "text"])
def test_a_setting_without_a_variable_has_its_default(monkeypatch, default):
    """
    Without a variable in the environment the default is given.
    """
    monkeypatch.delenv("SOCKETEER_EXAMPLE", raising=False)
    monkeypatch.delenv("WEBSOCKETS_EXAMPLE", raising=False)

    assert default == setting("EXAMPLE", default)


@pytest.mark.parametrize("prefix", ["SOCKETEER", "WEBSOCKETS"])
@pytest.mark.parametrize(
    ("default", "text", "value"),
    [
        (75, "12", 12),
        (75, "0", 0),
        (3.1, "4.5", 4.5),
        (3.1, "inf", float("inf")),
        ("text", "other", "other"),
        ("text", "", ""),
    ],
)
def test_a_setting_is_read_from_either_variable(
    monkeypatch, prefix, default, text, value
):
    """
    Variables with our prefix and with that of websockets are read, and have
    the type of the default.
    """
    monkeypatch.setenv(f"{prefix}_EXAMPLE", text)

    result = setting("EXAMPLE", default)

    assert value == result
    assert type(default) is type(result)


def test_our_variable_wins(monkeypatch):
    """
    With both variables in the environment, ours counts.
    """
    monkeypatch.setenv("WEBSOCKETS_EXAMPLE", "1")
    monkeypatch.setenv("SOCKETEER_EXAMPLE", "2")

    assert setting("EXAMPLE", 0) == 2


@pytest.mark.parametrize(
    ("default", "text", "expected"),
    [
        (75, "many", "a whole number, 0 or more"),
        (75, "", "a whole number, 0 or more"),
        (75, "1.5", "a whole number, 0 or more"),
        (75, "-1", "a whole number, 0 or more"),
        (3.1, "soon", "a number, 0 or more"),
        (3.1, "-0.1", "a number, 0 or more"),
        (3.1, "nan", "a number, 0 or more"),
    ],
)
def test_a_bad_setting_names_its_variable(monkeypatch, default, text, expected):
    """
    The error names the variable that was read, what it may be and what it is.
    """
    monkeypatch.setenv("WEBSOCKETS_EXAMPLE", text)

    with pytest.raises(ValueError, match="environment variable") as raised:
        setting("EXAMPLE", default)

    assert (
        f"environment variable WEBSOCKETS_EXAMPLE must be {expected}; got {text!r}"
        == str(raised.value)
    )


# Keys


def test_answers_the_key_of_the_rfc():
    """
    The example of RFC 6455, 1.3.
    """
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_key_is_sixteen_bytes_in_base64():
    """
    "a nonce consisting of a randomly selected 16-byte value that has been
    base64-encoded" (RFC 6455, 4.1).
    """
    assert len(base64.b64decode(generate_key(), validate=True)) == 16


@pytest.mark.parametrize("generate", [generate_key, generate_mask])
def test_keys_come_from_the_operating_system(monkeypatch, generate):
    """
    "derived from a strong source of entropy" (RFC 6455, 5.3 and 10.3).
    """
    drawn = []

    def token_bytes(size):
        drawn.append(size)
        return b"\x01" * size

    monkeypatch.setattr("secrets.token_bytes", token_bytes)
    generate()

    assert drawn == [16 if generate is generate_key else 4]


# Masking


@pytest.mark.parametrize(
    ("data", "mask", "masked"),
    [
        # RFC 6455, 5.7: "Hello".
        ("48656c6c6f", "37fa213d", "7f9f4d5158"),
        ("", "37fa213d", ""),
        ("00", "37fa213d", "37"),
        ("000000", "37fa213d", "37fa21"),
        ("00000000", "37fa213d", "37fa213d"),
        ("0000000000000000", "00000001", "0000000100000001"),
        ("ffff", "00000000", "ffff"),
    ],
)
def test_masks_every_byte_with_its_part_of_the_key(data, mask, masked):
    """
    Byte i is combined with byte i modulo 4 of the key (RFC 6455, 5.3).
    """
    assert bytes.fromhex(masked) == apply_mask(bytes.fromhex(data), bytes.fromhex(mask))


@given(st.binary(max_size=1000), st.binary(min_size=4, max_size=4))
def test_masks_as_the_rfc_defines_it(data, mask):
    """
    The same as the definition, one byte after the other; twice is nothing.
    """
    masked = apply_mask(data, mask)

    assert bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)) == masked
    assert data == apply_mask(masked, mask)


@pytest.mark.parametrize(
    "data", [b"abc", bytearray(b"abc"), memoryview(b"abc"), memoryview(b"a-b-c")[::2]]
)
@pytest.mark.parametrize("mask", [b"1234", bytearray(b"1234")])
def test_masks_all_kinds_of_bytes(data, mask):
    """
    Bytes, byte arrays and views, also with gaps, give bytes.
    """
    masked = apply_mask(data, mask)

    assert masked == b"PPP"
    assert type(masked) is bytes


@pytest.mark.parametrize("size", [1023, 1024, 1025, 1026, 1027, 70_001])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_masks_large_data(size, kind):
    """
    Whatever their size modulo 4, as the definition; what was given is not changed.
    """
    data = random.Random(size).randbytes(size)
    given = kind(data)

    masked = apply_mask(given, bytearray(b"\x00\x7f\x80\xff"))

    key = b"\x00\x7f\x80\xff"
    assert bytes(byte ^ key[i % 4] for i, byte in enumerate(data)) == masked
    assert type(masked) is bytes
    assert data == given


@pytest.mark.parametrize("mask", [b"", b"123", b"12345"])
def test_refuses_a_key_of_another_size(mask):
    """
    A masking key has four bytes.
    """
    with pytest.raises(ValueError, match=r"^mask must contain 4 bytes$"):
        apply_mask(b"abc", mask)


def test_refuses_text():
    """
    Text has to be encoded first.
    """
    with pytest.raises(TypeError):
        apply_mask("abc", b"1234")


@given(st.binary(max_size=100), st.binary(max_size=6))
def test_masks_as_websockets_does(data, mask):
    """
    Same results and errors as websockets 17.4.
    """
    try:
        theirs = websockets.utils.apply_mask(data, mask)
    except ValueError as exc:
        with pytest.raises(ValueError, match=str(exc)):
            apply_mask(data, mask)
    else:
        assert theirs == apply_mask(data, mask)


# Sockets


class NamedSocket:
    def __init__(self, name):
        self.name = name

    def getsockname(self):
        return self.name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (("192.0.2.1", 80), "192.0.2.1:80"),
        (("2001:db8::1", 443, 0, 0), "[2001:db8::1]:443"),
        ("/run/chat.sock", "/run/chat.sock"),
        ("", ""),
        (b"\0chat", "\0chat"),
    ],
)
def test_names_sockets_of_all_families(name, text):
    """
    Addresses of IPv4, IPv6 and Unix sockets are written as usual.
    """
    assert text == get_socket_name(NamedSocket(name))


def test_names_a_real_socket():
    """
    A listening socket has the name that a client would use.
    """
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]

        assert f"127.0.0.1:{port}" == get_socket_name(sock)


# Fragments


@pytest.mark.parametrize(
    ("items", "text", "opcode", "payloads"),
    [
        (["a", "é"], None, 1, [b"a", b"\xc3\xa9"]),
        (["a"], False, 2, [b"a"]),
        ([b"a", bytearray(b"b"), memoryview(b"c")], None, 2, [b"a", b"b", b"c"]),
        ([b"a"], True, 1, [b"a"]),
    ],
)
def test_items_become_payloads_of_one_kind(items, text, opcode, payloads):
    """
    The first item decides on the opcode, unless the user does.
    """
    encoder = FragmentEncoder(items, text)

    assert opcode == encoder.begin(items[0])
    assert payloads == [encoder.encode(item) for item in items]


def test_an_item_that_is_no_text_and_no_bytes_is_refused():
    """
    Nothing is to be sent of such a message.
    """
    encoder = FragmentEncoder([1])

    with pytest.raises(TypeError, match=r"^iterable must contain bytes or str$"):
        encoder.begin(1)
    with pytest.raises(TypeError, match=r"^iterable must contain uniform types$"):
        encoder.encode(b"")


@pytest.mark.parametrize(("first", "second"), [("a", b"b"), (b"a", "b"), ("a", None)])
def test_items_of_two_kinds_are_refused(first, second):
    """
    A message is of one kind (RFC 6455, 5.4).
    """
    encoder = FragmentEncoder([first, second])
    encoder.begin(first)

    with pytest.raises(TypeError, match=r"^iterable must contain uniform types$"):
        encoder.encode(second)


@pytest.mark.parametrize(
    ("message", "may_wait", "problem"),
    [
        ({"a": "b"}, True, "data is a dict-like object"),
        (1, True, "data must be str, bytes, iterable, or async iterable"),
        (1, False, "data must be str, bytes, or iterable"),
    ],
)
def test_what_is_no_iterable_is_refused(message, may_wait, problem):
    """
    A mapping is one, and a mistake.
    """
    with pytest.raises(TypeError, match=f"^{problem}$"):
        FragmentEncoder(message, may_wait=may_wait)


@pytest.mark.anyio
async def test_iterables_of_both_sorts_give_their_items():
    """
    Asynchronously, and errors name the sort.
    """

    async def items():
        yield "a"
        yield b"b"

    for message, kind in ((["a", b"b"], "iterable"), (items(), "async iterable")):
        encoder = FragmentEncoder(message)

        assert ["a", b"b"] == [item async for item in encoder.items()]
        with pytest.raises(TypeError, match=f"^{kind} must contain bytes or str$"):
            encoder.begin(None)
    with pytest.raises(TypeError, match=r"^data must be str, bytes, or iterable$"):
        FragmentEncoder(items(), may_wait=False)
