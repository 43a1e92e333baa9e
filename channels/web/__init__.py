"""The web: REST callers, the hosted chat page and widgets on other sites."""
