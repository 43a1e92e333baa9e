"""What rows of the fault matrix share: people who write, crowds, raw connections, measures."""
