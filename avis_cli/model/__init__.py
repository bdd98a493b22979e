"""The network: tensors in, tensors out. No paths, no video, no printing."""
