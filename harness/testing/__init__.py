"""What the pytest plugin is made of: not imported before a scenario is collected or a fixture is asked for."""
