"""Scores as files, tables and pictures."""
