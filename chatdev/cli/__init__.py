"""The command line: one module per command, which parses and prints and nothing else."""
