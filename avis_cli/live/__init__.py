"""What becomes of the frames of a stream: lines of JSON, a picture with masks, a recording."""
