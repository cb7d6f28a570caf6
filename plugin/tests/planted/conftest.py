"""Sessions here run with the real clock and the real observers."""

# A session in this process forgets what it imported; these cannot be imported twice, or would take long to.
import pytest_duet.plugin.conductor
import pytest_duet.plugin.selection
import pytest_duet.plugin.summary
import scipy.stats  # noqa: F401 - see above
