"""How gateway and replicas tell what they do: log files that cannot fill or block, and metrics under known names."""
