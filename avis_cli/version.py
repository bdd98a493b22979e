"""The version of avis, by itself so that everybody can ask for it."""

__version__ = "0.1.0"
