"""All endpoints of the native API, resource by resource."""

from __future__ import annotations

from gateway.api.native import (
    catalogue,
    chat,
    keys,
    messages,
    people,
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
    *people.ENDPOINTS,
    *visits.ENDPOINTS,
    *keys.ENDPOINTS,
    *catalogue.ENDPOINTS,
    *system.ENDPOINTS,
)
