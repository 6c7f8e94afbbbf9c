"""
The stairs from the cellar to the asyncio room.

The only part of the cellar which knows asyncio and sockets, and which only the
asyncio room may import: what a task waits on, the transport and the link
between a transport and the core have to be compiled with the core to be fast.
"""
