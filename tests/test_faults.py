"""Everything that goes wrong around a site, done to it under clients: they notice nothing, and nothing stays behind.

The faults and their numbers are in `support/faults.py`; `docs/reliability.md` has the same ones beside uWSGI's.
"""

import pytest

from support import faults
from support.invariant import Invariant

# A second of each is enough to see that it works at all; the long forms are for `make soak`.
SHORT = 0.3


def run(fault, workshop, rustwsgi, scale):
    """Does it, and looks whether everything is as it was."""
    if fault.number == "93" and faults.FAKETIME is None:
        pytest.skip("libfaketime is not installed")
    site = fault.site(workshop, rustwsgi)
    if fault.ends:
        finding = fault.act(site, workshop, scale)
        assert site.probe() == 200
    else:
        with Invariant(site.server, lambda: site.probe(timeout=5), rounds=50):
            finding = fault.act(site, workshop, scale)
            # What spoilt the configuration is not part of what is compared.
            site.server.options.pop("chdir", None)
    print(finding.said)
    assert finding.kept, finding.said


@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.name)
def test_nobody_notices(fault, workshop, rustwsgi):
    run(fault, workshop, rustwsgi, SHORT)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.name)
def test_nobody_notices_for_long(fault, workshop, rustwsgi):
    run(fault, workshop, rustwsgi, 10)
