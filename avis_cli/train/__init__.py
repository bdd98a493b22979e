"""Training of any preset on AVISeg-layout data."""
