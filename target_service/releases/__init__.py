"""The life cycle of a model: published into a new folder, verified, switched to by a link, rolled back, archived."""
