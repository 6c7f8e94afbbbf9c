"""
The threads room.
"""
