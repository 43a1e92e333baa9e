"""Slack: one app, in one workspace or in several, by HTTP or by Socket Mode."""
