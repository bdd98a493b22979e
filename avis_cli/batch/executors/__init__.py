"""Where the work of a run is done: each executor takes jobs to their outcomes in its own way."""
