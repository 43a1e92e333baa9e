"""The daemon: the only room that knows all others, builds everything and runs it."""
