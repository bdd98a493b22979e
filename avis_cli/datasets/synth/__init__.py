"""A synthetic audio-visual world: drawn objects that sound or stay silent, with exact ground truth.

``scenes`` plans a clip, ``render`` draws it, ``soundtrack`` lets it sound, ``dataset`` adds the truth to both.
"""
