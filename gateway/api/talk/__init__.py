"""The hosted chat page: its documents, its assets, and the visitor's session token."""
