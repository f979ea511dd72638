"""The thin shell around the kernels: Bytewax source, logic and sinks."""
