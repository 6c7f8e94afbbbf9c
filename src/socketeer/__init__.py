"""
WebSocket servers and clients, with a compiled core and a friendly API.
"""
