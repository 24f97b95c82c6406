"""Procedural landscapes: a scene is read from the words, then painted layer by layer with numpy and Pillow."""
