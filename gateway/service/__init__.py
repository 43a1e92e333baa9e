"""Use cases: everything a surface, the console or the command line may ask for."""
