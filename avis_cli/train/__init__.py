"""Training of any preset on the layouts that `avis_cli.datasets` reads."""
