"""The reference inference service under test: a tiny real model, replicas, and a gateway before them.

    python -m target_service.build_model DIR      makes the model folder
    python -m target_service.replica  --model DIR --port N
    python -m target_service.gateway  --port N --replica primary=URL --replica standby=URL

The harness never imports this package: they meet over HTTP, signals and files.
"""
