"""The symbolic decision: instances, interactions, components, inputs, kernels, witnesses."""
