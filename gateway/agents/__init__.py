"""One turn of thinking: models, tools, hand-offs. Knows no store, no HTTP server, no channel."""
