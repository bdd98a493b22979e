"""The command line: one file per command; parsing, progress, messages, exit codes and nothing else."""
