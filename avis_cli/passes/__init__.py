"""Both passes over the pictures of a clip: token frames to tracks, mask frames to masks."""
