"""What a result is written as: one file per format, each taking a ClipResult."""
