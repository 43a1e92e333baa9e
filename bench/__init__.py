"""The project's own benchmark: the gateway against yardsticks, in one run, as one table."""
