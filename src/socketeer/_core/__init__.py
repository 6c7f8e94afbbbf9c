"""
The cellar: the open connection, without I/O, a clock or random numbers.

These files run interpreted as ``socketeer._core`` and are compiled, unchanged,
as ``socketeer._fast``, with C types from the ``.pxd`` files there.
"""
