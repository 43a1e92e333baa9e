"""What agents can do beside talking: tools of the configuration, run within limits."""
