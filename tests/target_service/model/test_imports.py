"""What importing a model's libraries leaves behind."""

from __future__ import annotations

import gc

from target_service.model.imports import lean_imports


def test_what_was_made_while_importing_is_never_looked_through_by_the_garbage_collector() -> None:
    gc.unfreeze()
    try:
        with lean_imports():
            made = [[number] for number in range(1000)]
        assert gc.get_freeze_count() > len(made)
        assert not {id(one) for one in made} & {id(one) for one in gc.get_objects()}
        assert gc.isenabled()
    finally:
        gc.unfreeze()
