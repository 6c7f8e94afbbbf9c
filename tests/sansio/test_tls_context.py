"""
Which TLS context a client uses.
"""

from __future__ import annotations

import ssl

import pytest

from socketeer._tls import choose_context, default_context


def test_the_default_context_verifies():
    """
    Certificates and names.
    """
    context = default_context()

    assert context.check_hostname
    assert ssl.CERT_REQUIRED is context.verify_mode


@pytest.mark.parametrize("argument", [None, True, False])
def test_the_default_context_is_shared(argument):
    """
    One for the process; there is no way to switch TLS off.
    """
    assert choose_context(True, argument) is choose_context(True, None, for_proxy=True)


def test_a_context_is_used():
    """
    Nothing is done to it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    assert context is choose_context(True, context)


def test_without_tls_there_is_no_context():
    """
    Nor may there be an argument.
    """
    assert choose_context(False, None) is None
    with pytest.raises(ValueError, match="ssl argument is incompatible with a ws:// U"):
        choose_context(False, True)
    with pytest.raises(
        ValueError, match="proxy_ssl argument is incompatible with an http:// proxy"
    ):
        choose_context(False, True, for_proxy=True)
