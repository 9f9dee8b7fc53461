"""A small fake lab: hand-written fakes of the engine, the load generator and Prometheus, one module for each kind."""
