"""The measured side: both variational solutions on torch tensors, with certificates."""

from avi_theory.numeric.batches import measure_in_batches
from avi_theory.numeric.measure import measure
from avi_theory.numeric.saved import load_measurement
from avi_theory.numeric.shortage import within_memory

__all__ = ["load_measurement", "measure", "measure_in_batches", "within_memory"]
