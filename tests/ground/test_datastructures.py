from __future__ import annotations

import copy
import pickle

import pytest
import websockets.datastructures
import websockets.exceptions
from hypothesis import given
from hypothesis import strategies as st

from socketeer import datastructures
from socketeer.datastructures import Headers, MultipleValuesError
from socketeer.exceptions import InvalidHeaderValue

from .comparing import outcome


@pytest.fixture
def headers():
    return Headers([("Connection", "Upgrade"), ("Server", "socketeer")])


@pytest.fixture
def repeated():
    return Headers([("Server", "one"), ("Via", "proxy"), ("server", "two")])


# Text


def test_text_is_that_of_http(headers):
    """
    Header lines and the empty line, each with CRLF (RFC 9112, 2.1).
    """
    text = "Connection: Upgrade\r\nServer: socketeer\r\n\r\n"

    assert text == str(headers)
    assert text.encode() == headers.serialize()


def test_representation_makes_equal_headers(repeated):
    """
    It shows names and values as they stand.
    """
    assert repr(repeated) == (
        "Headers([('Server', 'one'), ('Via', 'proxy'), ('server', 'two')])"
    )


def test_values_are_latin_1():
    """
    Octets beyond ASCII stand for ISO-8859-1 (RFC 9110, 5.5).
    """
    assert Headers(Name="\xe9").serialize() == b"Name: \xe9\r\n\r\n"


# Names


@pytest.mark.parametrize("name", ["Server", "server", "SERVER"])
def test_names_have_no_case(headers, name):
    """
    "Field names are case-insensitive" (RFC 9110, 5.1).
    """
    assert name in headers
    assert headers[name] == "socketeer"
    assert headers.get(name) == "socketeer"
    assert headers.get_all(name) == ["socketeer"]


def test_unknown_names_are_missing(headers):
    """
    As in any mapping.
    """
    assert "Upgrade" not in headers
    assert 42 not in headers
    assert headers.get("Upgrade") is None
    assert headers.get("Upgrade", "none") == "none"
    assert headers.get_all("Upgrade") == []
    with pytest.raises(KeyError):
        _ = headers["Upgrade"]
    with pytest.raises(KeyError):
        del headers["Upgrade"]


# Mapping


def test_iteration_gives_each_name_once(repeated):
    """
    In lower case, in the order of the first occurrence.
    """
    assert list(repeated) == ["server", "via"]
    assert len(repeated) == 2


def test_setting_a_header_adds_it(headers):
    """
    The others of that name stay, as in websockets.
    """
    headers["server"] = "second"

    assert headers.get_all("Server") == ["socketeer", "second"]
    assert list(headers.raw_items())[-1] == ("server", "second")


def test_deleting_a_header_removes_all_of_its_values(repeated):
    """
    Whatever the case of their names.
    """
    del repeated["SERVER"]

    assert list(repeated.raw_items()) == [("Via", "proxy")]
    assert "Server" not in repeated


def test_one_value_is_expected_of_a_header_with_several(repeated):
    """
    The error quotes the name, and is a LookupError.
    """
    with pytest.raises(MultipleValuesError) as raised:
        _ = repeated["Server"]

    assert str(raised.value) == "'Server'"
    assert isinstance(raised.value, LookupError)
    assert repeated.get_all("Server") == ["one", "two"]


@pytest.mark.parametrize("arguments", [(), ("a", "b")])
def test_the_error_for_several_values_may_have_any_arguments(arguments):
    """
    Then its text is that of any exception.
    """
    assert str(MultipleValuesError(*arguments)) == str(LookupError(*arguments))


def test_clear_removes_everything(repeated):
    """
    Headers can be filled again afterwards.
    """
    repeated.clear()
    repeated["New"] = "value"

    assert list(repeated.raw_items()) == [("New", "value")]
    assert list(repeated) == ["new"]


def test_values_given_to_users_are_copies(repeated):
    """
    A list from get_all() doesn't change the headers.
    """
    repeated.get_all("Server").clear()

    assert repeated.get_all("Server") == ["one", "two"]


# Equality


@pytest.mark.parametrize(
    ("one", "two", "equal"),
    [
        ([("A", "1")], [("a", "1")], True),
        ([("A", "1")], [("A", "2")], False),
        ([("A", "1"), ("B", "2")], [("B", "2"), ("A", "1")], True),
        ([("A", "1"), ("A", "2")], [("A", "2"), ("A", "1")], False),
        ([("A", "1"), ("A", "1")], [("A", "1")], False),
    ],
)
def test_equality_follows_the_meaning_of_headers(one, two, equal):
    """
    The case of names and the order of different headers mean nothing; the
    order of the values of one header does (RFC 9110, 5.3).
    """
    assert equal is (Headers(one) == Headers(two))


def test_headers_equal_no_other_mapping():
    """
    A dict has other rules for names.
    """
    assert Headers(a="1") != {"a": "1"}


def test_headers_are_mutable_hence_not_hashable():
    """
    As a dict.
    """
    with pytest.raises(TypeError):
        hash(Headers())


# Building


class KeysOnly:
    def keys(self):
        return ["A", "B"]

    def __getitem__(self, name):
        return name * 2


@pytest.mark.parametrize(
    ("source", "items"),
    [
        ({"A": "1"}, [("A", "1")]),
        ([("A", "1"), ("a", "2")], [("A", "1"), ("a", "2")]),
        (iter([("A", "1")]), [("A", "1")]),
        (Headers([("A", "1"), ("a", "2")]), [("A", "1"), ("a", "2")]),
        (KeysOnly(), [("A", "AA"), ("B", "BB")]),
    ],
)
def test_headers_are_made_of_all_that_is_like_them(source, items):
    """
    Headers, mappings, pairs, and what has keys; keyword arguments follow.
    """
    headers = Headers(source, C="3")

    assert [*items, ("C", "3")] == list(headers.raw_items())


def test_update_adds_headers(headers):
    """
    It adds, as setting a header does, also from headers with several values.
    """
    headers.update([("Server", "second")])
    headers.update(Headers([("Via", "a"), ("Via", "b")]), Date="now")

    assert headers.get_all("Server") == ["socketeer", "second"]
    assert headers.get_all("Via") == ["a", "b"]
    assert headers["Date"] == "now"


def test_headers_can_be_added_to_themselves(repeated):
    """
    Then there is one more of each.
    """
    repeated.update(repeated)

    assert repeated.get_all("Server") == ["one", "two", "one", "two"]


@pytest.mark.parametrize(
    "arguments",
    [({"A": "1"}, {"B": "2"}), (Headers(), Headers()), (5,), (None,), ("ab",)],
)
def test_headers_are_made_of_one_thing_at_most(arguments):
    """
    The error is that of any mapping.
    """
    with pytest.raises((TypeError, ValueError)):
        Headers(*arguments)


class Special(Headers):
    """A subclass, with attributes."""


@pytest.mark.parametrize(
    "duplicate",
    [Headers.copy, copy.copy, copy.deepcopy, lambda h: pickle.loads(pickle.dumps(h))],
)
@pytest.mark.parametrize("cls", [Headers, Special])
def test_a_copy_is_equal(duplicate, cls):
    """
    It has the same class and the same content.
    """
    headers = cls([("Server", "one"), ("server", "two")])
    again = duplicate(headers)

    assert cls is type(again)
    assert headers == again
    assert list(headers.raw_items()) == list(again.raw_items())


def test_a_copy_is_independent(headers):
    """
    Changes of the copy leave the original alone.
    """
    again = headers.copy()
    again["Server"] = "second"
    del again["Connection"]

    assert headers.get_all("Server") == ["socketeer"]
    assert "Connection" in headers


def test_memory_holds_no_dict_per_object():
    """
    A server may keep the headers of many connections.
    """
    assert not hasattr(Headers(), "__dict__")


# Values

FORBIDDEN = [*range(0x20), 0x7F, 0x100, 0x20AC]
FORBIDDEN.remove(0x09)


@pytest.mark.parametrize("code", FORBIDDEN)
def test_refuses_characters_that_could_end_a_header(code):
    """
    Control characters but the tab, and what ISO-8859-1 cannot encode
    (RFC 9110, 5.5). Nothing is added.
    """
    headers = Headers()
    value = f"a{chr(code)}b"

    with pytest.raises(InvalidHeaderValue) as raised:
        headers["Name"] = value

    assert (raised.value.name, raised.value.value) == ("Name", value)
    assert f"invalid Name header: {value}" == str(raised.value)
    assert len(headers) == 0


@pytest.mark.parametrize("value", ["", " a ", "\t", "~", "\x80", "\xff", "a\tb"])
def test_accepts_all_other_characters(value):
    """
    Tab, space, visible ASCII, and the upper half of ISO-8859-1.
    """
    assert value == Headers(Name=value)["Name"]


def test_set_insecure_looks_at_nothing():
    """
    For values that are known to be right.
    """
    headers = Headers()
    headers.set_insecure("Name", "a\r\nOther: b")

    assert headers.serialize() == b"Name: a\r\nOther: b\r\n\r\n"


def test_numbers_are_written():
    """
    Typed programs give strings; others get what they mean.
    """
    headers = Headers({"Content-Length": 5})

    assert headers.serialize() == b"Content-Length: 5\r\n\r\n"


# Against websockets

NAMES = st.sampled_from(["a", "A", "b", "B", "Sec-WebSocket-Key"])
VALUES = st.sampled_from(["", "1", "2", "\xe9", "\n", "\u20ac", "a\tb"])
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=3)

STEPS = st.one_of(
    st.tuples(st.just("__setitem__"), NAMES, VALUES),
    st.tuples(st.just("set_insecure"), NAMES, VALUES),
    st.tuples(st.just("update"), PAIRS),
    st.tuples(st.just("update"), PAIRS.map(dict)),
    st.tuples(st.just("setdefault"), NAMES, VALUES),
    *(
        st.tuples(st.just(method), NAMES)
        for method in (
            "__getitem__",
            "__delitem__",
            "__contains__",
            "get",
            "get_all",
            "pop",
        )
    ),
    *(
        st.tuples(st.just(method))
        for method in (
            "__len__",
            "__str__",
            "__repr__",
            "serialize",
            "clear",
            "popitem",
        )
    ),
)


def listed(headers, view):
    return list(getattr(headers, view)())


@given(PAIRS, st.lists(STEPS, max_size=10))
def test_behaves_as_that_of_websockets(pairs, steps):
    """
    Any calls give the same results and errors, and leave the same headers.
    """
    assert outcome(websockets.datastructures.Headers, pairs) == outcome(Headers, pairs)
    pairs = [(name, "") for name, _ in pairs]
    ours, theirs = Headers(pairs), websockets.datastructures.Headers(pairs)
    for method, *arguments in steps:
        assert outcome(getattr(theirs, method), *arguments) == outcome(
            getattr(ours, method), *arguments
        )
        assert list(theirs.raw_items()) == list(ours.raw_items())
        for view in ("keys", "values", "items"):
            assert outcome(listed, theirs, view) == outcome(listed, ours, view)
        assert theirs.copy() == theirs
        assert ours.copy() == ours


# Memory


@pytest.mark.parametrize(
    "items",
    [
        [],
        [("Host", "example.com")],
        [("Set-Cookie", "a=1"), ("X", ""), ("set-cookie", "b=2")],
        [(word, word) for word in datastructures._FREQUENT],
    ],
)
def test_packed_headers_are_the_same(items):
    """
    Packing saves memory; the next use undoes it.
    """
    headers = Headers(items)

    headers.pack()
    assert not hasattr(headers, "_packing")
    headers["Y"] = "z"

    assert [*items, ("Y", "z")] == list(headers.raw_items())
    assert Headers([*items, ("Y", "z")]) == headers


def test_packed_headers_can_be_copied_and_pickled():
    """
    As others can.
    """
    for copy_of in (copy.copy, copy.deepcopy, lambda h: pickle.loads(pickle.dumps(h))):
        headers = Headers(Host="example.com")
        headers.pack()

        assert Headers(Host="example.com") == copy_of(headers)


def test_frequent_words_are_packed_into_characters():
    """
    Into different ones, which no valid header has.
    """
    words = datastructures._FREQUENT
    packed = Headers([(word, "") for word in words]).pack()

    codes = packed.split("\n")[::2]
    assert len(set(words)) == len(set(codes)) == len("".join(codes))
    for code in codes:
        with pytest.raises(InvalidHeaderValue):
            Headers(X=code)


def test_packed_headers_come_back_from_what_packing_returns():
    """
    As headers that are packed.
    """
    headers = Headers([("Host", "example.com"), ("X", "y")])

    again = Headers._from_packed(headers.pack())

    assert headers == again
    assert [("Host", "example.com"), ("X", "y")] == list(again.raw_items())


@pytest.mark.parametrize("value", ["a\nb", "\x01", "\u20ac"])
def test_invalid_values_are_not_packed(value):
    """
    set_insecure() lets them in; nothing is lost.
    """
    headers = Headers()
    headers.set_insecure("X", value)

    assert headers.pack() is None
    assert value == headers["X"]
