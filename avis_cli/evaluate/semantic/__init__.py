"""Scores of class maps: which pixels sound, and as what. A metric is counts of pixels, then ratios, then means."""
