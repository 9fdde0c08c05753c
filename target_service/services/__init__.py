"""Three services on one code base: they share engine, queue, health and verification, and differ in their endpoints."""
