"""Devices behind the bridge: how to call them, and what they are given to compute."""
