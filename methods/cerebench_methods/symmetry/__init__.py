"""The mid-sagittal plane of a head: finding it, and resampling into the frame that it defines."""
