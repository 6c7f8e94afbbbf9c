"""
Unix sockets, as all rooms bind them.
"""

from __future__ import annotations

import errno
import socket

import pytest

from socketeer._sockets import bind_unix, check_alone, write_at_once

pytestmark = pytest.mark.ours


def test_a_socket_left_over_is_removed(tmp_path):
    """
    A file of another kind is not.
    """
    path = tmp_path / "socket"
    bind_unix(path).close()
    with bind_unix(path) as sock:
        assert str(path) == sock.getsockname()

    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(OSError, match="is already in use") as raised:
        bind_unix(path)
    assert errno.EADDRINUSE == raised.value.errno
    assert "precious" == path.read_text()


@pytest.mark.parametrize("name", ["x" * 200, "no/such/folder", "\ud800"])
def test_a_path_that_cannot_be_bound(tmp_path, name):
    """
    The error of the system comes through, and no socket is left.
    """
    with pytest.raises((OSError, UnicodeEncodeError)):
        bind_unix(f"{tmp_path}/{name}")


def test_a_name_that_cannot_be_encoded():
    """
    In the abstract namespace, the socket itself finds out.
    """
    with pytest.raises(UnicodeEncodeError):
        bind_unix("\0\ud800")


def test_small_pieces_are_written_at_once():
    """
    On TCP; a Unix socket knows no delay, and a socket that is gone does not matter.
    """
    with socket.socket() as sock:
        write_at_once(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    write_at_once(sock)
    with socket.socket(socket.AF_UNIX) as sock:
        write_at_once(sock)


def test_an_argument_that_has_no_place_beside_another():
    """
    Is named, unless it was not given.
    """
    check_alone("sock", host=None, port=None)
    with pytest.raises(ValueError, match=r"^port is incompatible with sock$"):
        check_alone("sock", host=None, port=0)
