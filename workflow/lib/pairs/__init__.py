"""Pairs of images: how they are drawn, held out and scored without leaks."""
