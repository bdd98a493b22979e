"""What every room needs of the disk: files and folders that are complete or not there, checksums, strict JSON."""
