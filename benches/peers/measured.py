"""What the scripts here share: the two jobs, and how results are compared and reported."""

import json
import sys
import time

STEP_US = 30 * 1_000_000
GAP_US = 30 * 60 * 1_000_000

# Of one session, with times in microseconds; results agree if the sums over all sessions do. The
# program `measure` has the same in Rust, and the queries have it in their own words.
FIRST_MODULUS, LAST_MODULUS, PRIME = 1_000_003, 1_000_033, 1_000_000_007


def digest(first, last, count):
    times = first % FIRST_MODULUS * (last % LAST_MODULUS + 1)
    return times % PRIME * (count % PRIME + 1) % PRIME


# The same in SQL, over columns first_time, last_time, count.
DIGEST_SQL = f"""
    epoch_us(first_time) % {FIRST_MODULUS} * (epoch_us(last_time) % {LAST_MODULUS} + 1)
    % {PRIME} * (count % {PRIME} + 1) % {PRIME}"""


class Clock:
    """CPU time of all threads of this process."""

    def __init__(self):
        self.cpu = time.process_time()

    def nanos(self):
        return (time.process_time() - self.cpu) * 1e9


def report(**what):
    """Tells run.py, on the only line of the output."""
    json.dump(what, sys.stdout)
    print(flush=True)


def started():
    """Says that starting up has ended: run.py does not count it."""
    report(startup_cpu=time.process_time(), startup_end=time.time())
