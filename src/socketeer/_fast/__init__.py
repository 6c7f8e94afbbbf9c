"""
The cellar, compiled: the sources are in ``socketeer._core``.

The ``.pxd`` files here give C types to those sources and hold no logic; the
``.pyx`` files are kernels with a portable twin of the same name in ``_core``.
"""
