"""The platforms bot-gateway speaks to, one folder each; found through entry points."""
