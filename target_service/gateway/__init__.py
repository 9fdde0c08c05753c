"""Active/standby in front of replicas: `python -m target_service.gateway --port N --replica ...`."""
