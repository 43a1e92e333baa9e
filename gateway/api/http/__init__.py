"""What every surface shares: reading requests, knowing callers, one shape for errors, limits."""
