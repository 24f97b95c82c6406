"""A short rolling update. The long one is `make rolling`."""

from deploy.local.installation import REPLICATED
from tests.rolling.update import HALF_BY_HALF, roll


def test_nobody_notices_that_every_process_is_replaced(tmp_path):
    account = roll(tmp_path, 4, HALF_BY_HALF)
    assert account.tally.failed == []
    assert account.tally.stuck == []
    assert account.tally.lost == []
    assert account.tally.accepted
    for service in REPLICATED:
        assert account.served[service], f"{service} shares the work"
        assert account.served[f"{service}-2"], f"{service} shares the work"
