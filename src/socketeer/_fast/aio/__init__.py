"""
The stairs from the cellar to the asyncio room, compiled.
"""
