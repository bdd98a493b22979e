"""AVISM (Guo et al., CVPR 2025): configuration, network, names of its released checkpoints, and training."""
