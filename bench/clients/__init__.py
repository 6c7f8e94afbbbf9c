"""
The clients that are compared; each module is a program.
"""
