"""The command line: a thin reader and printer over the services.

`app.py` knows the names of the commands only. A command's own file, and with it everything the
command needs, is imported when it is called: help and mistyped words are answered at once.
"""
