"""bot-gateway: carries conversations between people and LLM agents, and loses none of them.

Holds the version and nothing else; importing it loads no other part.
"""

__version__ = "0.1.0"
