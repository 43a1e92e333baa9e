"""The rows of the fault matrix: each file says how a fault is injected and what must then hold."""
