"""What a result becomes on disk: a video drawn over, mask images, a tracking file; complete or not there at all."""
