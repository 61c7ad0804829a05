"""Private servers and the tools to try nixie against them.

Standard library only. Everything lives below one folder, listens on loopback
or on Unix sockets, and is ended by the process id it was started with.
"""
