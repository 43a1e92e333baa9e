"""The fault matrix: each fault is injected into a throw-away gateway, and what it did is judged."""
