"""The tests: pipeline/ and gateway/ mirror the modules, flow/ is the whole road, conformance/ asks outsiders."""
