"""Many inputs: the steps of one, which is worked on when, and what became of each."""
