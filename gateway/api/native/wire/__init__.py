"""The documents of the native API, one file a resource: field names as they go over the wire."""
