"""The configuration of steps: one frozen class each, every key typed, documented and checked when it is made.

`None` means: chosen from the number of rows and columns of the data.
"""

from scorefleet.tasks.config.cluster import Cluster as Cluster
from scorefleet.tasks.config.prepare import CSV as CSV
from scorefleet.tasks.config.prepare import Prepare as Prepare
from scorefleet.tasks.config.results import Evaluate as Evaluate
from scorefleet.tasks.config.results import Register as Register
from scorefleet.tasks.config.results import Report as Report
from scorefleet.tasks.config.results import Retrain as Retrain
from scorefleet.tasks.config.sample import Normalise as Normalise
from scorefleet.tasks.config.sample import Sample as Sample
from scorefleet.tasks.config.target import Chains as Chains
from scorefleet.tasks.config.train import Train as Train
