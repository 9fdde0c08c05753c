"""One copy of the model behind HTTP: `python -m target_service.replica --model DIR --port N`."""
