"""What breaks the target: one small file per family, each fault with its inverse and its proof.

To add one: parameters and a row in `harness.model.faults`, a class here and a row in `harness.faults.table`, a test.
"""
