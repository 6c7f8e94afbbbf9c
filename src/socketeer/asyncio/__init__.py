"""
The asyncio room.
"""
