"""What the tiny model is taught: words, sentence patterns and facts, all written for this project."""
