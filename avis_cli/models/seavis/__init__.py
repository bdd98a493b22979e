"""SeaVIS (Zhu et al., arXiv 2603.01431), reconstructed: configuration, network, association and training."""
