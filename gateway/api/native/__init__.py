"""The native REST API: everything below `/v1`, and health."""
