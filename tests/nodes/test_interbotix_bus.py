"""The backend over Interbotix' driver, held against a stand-in with the driver's habits."""

import pytest
from nodes.interbotix_messages import make_importable

from dynamixel.bus_conformance import BusConformance


@pytest.fixture(scope="module", autouse=True)
def messages():
    make_importable()


@pytest.fixture
def live(messages, tmp_path):
    from nodes.interbotix_rig import xs_rig

    with xs_rig(tmp_path) as live:
        yield live


class TestInterbotixBus(BusConformance):
    @pytest.fixture
    def make_bus(self, live):
        return live.bus
