"""What spreads traffic over replicas: `python -m target_service.gateway --port N --replica ...`."""
