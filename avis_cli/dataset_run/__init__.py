"""A model over a split of a dataset in AVISeg's layout: its pictures and sound -> a results list to score."""

from avis_cli.dataset_run.run import run_dataset

__all__ = ["run_dataset"]
