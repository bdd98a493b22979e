"""CAVP (Chen et al., "Unraveling Instance Associations: A Closer Look for Audio-Visual Segmentation", CVPR 2024)."""
