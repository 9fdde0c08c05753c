"""What every stack that runs the reference target shares, be it processes or containers."""
