"""Raw topics into results: dataflows, their runtime and their kernels."""
