"""What a clip's segmentation is, as values and as JSON both ways."""
