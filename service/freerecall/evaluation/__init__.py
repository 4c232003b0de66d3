"""Scoring graders against gold ratings, and fitting the calibration."""
