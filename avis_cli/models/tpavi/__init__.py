"""TPAVI, the baseline of AVSBench (Zhou et al., "Audio-Visual Segmentation", ECCV 2022)."""
