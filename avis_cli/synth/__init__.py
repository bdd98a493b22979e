"""The synthetic world: procedurally made clips in which only some visible objects sound."""
