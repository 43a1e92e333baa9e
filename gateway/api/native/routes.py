"""All endpoints of the native API, resource by resource."""

from __future__ import annotations

from gateway.api.native import (
    catalogue,
    chat,
    files,
    keys,
    messages,
    people,
    people_standing,
    sessions,
    system,
    turns,
    visits,
)

ENDPOINTS = (
    *chat.ENDPOINTS,
    *turns.ENDPOINTS,
    *sessions.ENDPOINTS,
    *messages.ENDPOINTS,
    *files.ENDPOINTS,
    *people.ENDPOINTS,
    *people_standing.ENDPOINTS,
    *visits.ENDPOINTS,
    *keys.ENDPOINTS,
    *catalogue.ENDPOINTS,
    *system.ENDPOINTS,
)
