"""The folder of a run: what is in it, how it is written so that nothing is lost, and how it is read back."""
