"""Metrics of instance tracks: FSLA, HOTA, track mAP, CLEAR, Identity."""
