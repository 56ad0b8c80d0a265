"""Wavelet analysis."""
