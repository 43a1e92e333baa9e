"""HTTP: thin translators between the wire and the services."""
