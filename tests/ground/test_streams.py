from __future__ import annotations

import pytest
import websockets.streams
from hypothesis import given
from hypothesis import strategies as st

from socketeer.exceptions import HeaderLineTooLong
from socketeer.streams import StreamReader

from .comparing import outcome, reader, run


def waits(generator):
    """Tell whether a generator needs more input."""
    return next(generator, "done") is None


def test_reads_a_line_with_its_end():
    """
    A line includes its line feed; what follows stays.
    """
    stream = reader(b"one\r\ntwo")

    assert run(stream.read_line(32)) == b"one\r\n"
    assert stream.buffer == b"two"


def test_waits_for_the_rest_of_a_line():
    """
    Nothing is consumed until the line is complete.
    """
    stream = reader(b"on", eof=False)
    line = stream.read_line(32)

    assert waits(line)
    stream.feed_data(b"e")
    assert waits(line)
    assert stream.buffer == b"one"
    stream.feed_data(b"\r\n")
    assert run(line) == b"one\r\n"


@pytest.mark.parametrize(
    ("data", "size"),
    [(b"abcd\n", 5), (b"abcdef\nghi", 7), (b"abcde", 5), (b"abcdef", 6)],
)
def test_refuses_a_line_beyond_the_limit(data, size):
    """
    As soon as the line is longer than the limit, whether it has an end or
    not; the error tells its size so far.
    """
    stream = reader(data, eof=False)

    with pytest.raises(HeaderLineTooLong) as raised:
        run(stream.read_line(4, HeaderLineTooLong))

    assert f"read {size} bytes, expected no more than 4 bytes" == str(raised.value)
    assert data == stream.buffer


def test_refuses_with_runtime_error_by_default():
    """
    Callers choose the class of the error; the default is RuntimeError.
    """
    with pytest.raises(RuntimeError):
        run(reader(b"abc").read_line(2))
    with pytest.raises(RuntimeError):
        run(reader(b"abc").read_to_eof(2))


def test_a_line_may_fill_the_limit():
    """
    The limit counts the line feed.
    """
    assert run(reader(b"abc\n").read_line(4)) == b"abc\n"
    assert waits(reader(b"abcd", eof=False).read_line(4))


def test_a_line_needs_an_end():
    """
    A stream that ends within a line is an error that tells how far it came.
    """
    with pytest.raises(EOFError) as raised:
        run(reader(b"abc").read_line(32))

    assert str(raised.value) == "stream ends after 3 bytes, before end of line"


def test_reads_a_number_of_bytes():
    """
    What follows stays; zero bytes can always be read.
    """
    stream = reader(b"abcdef")

    assert run(stream.read_exact(4)) == b"abcd"
    assert run(stream.read_exact(0)) == b""
    assert run(stream.read_exact(2)) == b"ef"
    assert run(stream.read_exact(0)) == b""


def test_waits_for_a_number_of_bytes():
    """
    Nothing is consumed until there are enough.
    """
    stream = reader(b"ab", eof=False)
    data = stream.read_exact(4)

    assert waits(data)
    stream.feed_data(b"cde")
    assert run(data) == b"abcd"
    assert stream.buffer == b"e"


def test_a_number_of_bytes_must_come():
    """
    A stream that ends too early is an error that tells what is missing.
    """
    with pytest.raises(EOFError) as raised:
        run(reader(b"abc").read_exact(5))

    assert str(raised.value) == "stream ends after 3 bytes, expected 5 bytes"


def test_reads_to_the_end():
    """
    Everything there is when the stream ends, nothing before.
    """
    stream = reader(b"abc", eof=False)
    data = stream.read_to_eof(4)

    assert waits(data)
    stream.feed_data(b"d")
    assert waits(data)
    stream.feed_eof()
    assert run(data) == b"abcd"
    assert run(stream.read_to_eof(4)) == b""


@pytest.mark.parametrize("eof", [False, True])
def test_refuses_more_than_the_limit_to_the_end(eof):
    """
    The limit holds whether the stream has ended or not.
    """
    with pytest.raises(HeaderLineTooLong) as raised:
        run(reader(b"abcde", eof=eof).read_to_eof(4, HeaderLineTooLong))

    assert str(raised.value) == "read 5 bytes, expected no more than 4 bytes"


def test_tells_whether_the_stream_has_ended():
    """
    Bytes that aren't read yet say no, the end says yes, otherwise it waits.
    """
    assert run(reader(b"a").at_eof()) is False
    assert run(reader(b"").at_eof()) is True

    stream = reader(b"", eof=False)
    ended = stream.at_eof()
    assert waits(ended)
    stream.feed_data(b"a")
    assert run(ended) is False


def test_nothing_follows_the_end():
    """
    Neither data nor another end.
    """
    stream = reader(b"")

    with pytest.raises(EOFError, match=r"^stream ended$"):
        stream.feed_data(b"a")
    with pytest.raises(EOFError, match=r"^stream ended$"):
        stream.feed_eof()


@pytest.mark.parametrize("eof", [False, True])
def test_discards_what_was_not_read(eof):
    """
    The buffer is empty then, and may be filled again before the end.
    """
    stream = reader(b"abc", eof=eof)
    stream.discard()

    assert stream.buffer == b""
    assert stream.eof is eof


def advance(pending, generator):
    """Run a generator once; keep it as pending if it waits."""
    try:
        next(generator)
    except StopIteration as result:
        return (
            bytes(result.value) if isinstance(result.value, bytearray) else result.value
        )
    except (EOFError, RuntimeError) as exc:
        return type(exc), str(exc)
    pending.append(generator)
    return "waits"


STEPS = st.one_of(
    st.tuples(st.just("feed_data"), st.binary(max_size=6) | st.just(b"a\n")),
    st.tuples(st.just("feed_eof")),
    st.tuples(st.just("read_line"), st.integers(0, 8)),
    st.tuples(st.just("read_exact"), st.integers(0, 8)),
    st.tuples(st.just("at_eof")),
    st.tuples(st.just("discard")),
)


@given(st.lists(STEPS, max_size=20))
def test_behaves_as_that_of_websockets(steps):
    """
    Any order of feeding and reading gives the same results and errors.
    """
    ours, theirs = StreamReader(), websockets.streams.StreamReader()
    pending = [[], []]
    for method, *arguments in steps:
        if pending[0] and method not in {"feed_data", "feed_eof", "discard"}:
            results = [advance(waiting, waiting.pop()) for waiting in pending]
        elif method.startswith(("read", "at")):
            results = [
                advance(waiting, getattr(stream, method)(*arguments))
                for stream, waiting in zip((ours, theirs), pending, strict=True)
            ]
        else:
            results = [
                outcome(getattr(stream, method), *arguments)
                for stream in (ours, theirs)
            ]

        assert results[1] == results[0]
        assert theirs.buffer == ours.buffer
        assert theirs.eof == ours.eof
