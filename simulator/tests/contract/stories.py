"""The steps before an exchange, if there were more than the exchanges before it.

Each topic starts with the recorded machines as they were before its first request. The steps are unrecorded operations,
passing time and failures. They never define a response.
"""

from collections.abc import Mapping, Sequence

from maas_simulator import Status
from simulator.tests.contract.scene import (
    Step,
    acquires,
    acts,
    bmc,
    calls_event,
    changes,
    creates,
    fails_next,
    hangs_next,
    queries_power,
    rack,
    until,
    until_says,
    wait,
)

NODE01, NODE02, NODE03, NODE04, NODE05, NODE06 = "ywtymp", "7xneda", "fyc3ff", "x7twrr", "m86kwc", "hbncqr"
NODE07, NODE09, NODE10, NODE11, NODE12, NODE13 = "fbwxbf", "ndn36c", "8pr8mk", "ergrgd", "mncsfc", "gpxwc3"

Story = Sequence[Step]


def commissioned(name: str, into: Status = Status.READY) -> Story:
    """A complete commissioning."""
    return (acts("commission", name), until(name, into))


def deployed(name: str, **form: str) -> Story:
    """A complete deployment."""
    return (acts("deploy", name, **form), until(name, Status.DEPLOYED))


def fails_to_deploy(name: str, at: str, **form: str) -> Story:
    """A deployment that fails at a stage."""
    return (fails_next(name, at), acts("deploy", name, **form), until(name, Status.FAILED_DEPLOYMENT))


def released(name: str, **form: str) -> Story:
    """A complete release."""
    return (acts("release", name, **form), until(name, Status.READY))


WORLD: Story = (
    *(
        step
        for name in (NODE01, NODE02, NODE03, NODE04, NODE05, NODE06, NODE09, NODE11, NODE13)
        for step in commissioned(name)
    ),
    fails_next(NODE07, "50-maas-01-commissioning"),
    *commissioned(NODE07, Status.FAILED_COMMISSIONING),
    fails_next(NODE10, "smartctl-validate"),
    *commissioned(NODE10, Status.FAILED_TESTING),
    *deployed(NODE01),
    *deployed(NODE05, distro_series="jammy"),
    *fails_to_deploy(NODE06, "Configuring OS"),
    acts("rescue_mode", NODE11),
    until(NODE11, Status.RESCUE_MODE),
    acquires(NODE04),
    acquires(NODE13),
    acts("mark_broken", NODE13, comment="bad DIMM"),
)
"""The steps to the machines' states at the start of the recording."""

_DESCRIBED = (changes(NODE02, description="json"),)
_NODE06_FAILED = (
    until(NODE06, Status.READY),
    acquires(NODE06),
    *fails_to_deploy(NODE06, "Configuring OS"),
)
_NODE06_TIMED_OUT = (
    *released(NODE06),
    acquires(NODE06),
    *fails_to_deploy(NODE06, "Loading ephemeral"),
)
_NODE09_WITHOUT_POWER = (
    bmc(NODE09, fails=True),
    acts("deploy", NODE09, distro_series="noble"),
    until(NODE09, Status.FAILED_DEPLOYMENT),
)
_NODE09_REVERTED = (
    *released(NODE09),
    acts("commission", NODE09),
    bmc(NODE09, fails=False),
)
_NODE03_REVERTED = (rack(down=True), acts("commission", NODE03), rack(down=False))
_NODE09_RESCUED = (
    acts("rescue_mode", NODE09),
    until(NODE09, Status.RESCUE_MODE),
    acts("exit_rescue_mode", NODE09),
    until(NODE09, Status.READY),
    acquires(NODE09),
    acts("mark_broken", NODE09, comment="bad DIMM"),
    acts("mark_fixed", NODE09, comment="replaced"),
)
_LATE = (
    *_DESCRIBED,
    acts("release", NODE06),
    *_NODE06_FAILED,
    *_NODE06_TIMED_OUT,
    *_NODE09_WITHOUT_POWER,
    *_NODE09_REVERTED,
    acts("power_on", NODE04),
    acts("abort", NODE04),
    *released(NODE04),
    *deployed(NODE02),
    *released(NODE02, comment="done with it"),
    acts("release", NODE01, erase="true"),
    until(NODE01, Status.READY),
    *_NODE09_RESCUED,
)
"""The changes of all earlier topics, for the last ones."""

STORIES: Mapping[str, Story] = {
    "06-allocate: impossible constraints": _DESCRIBED,
    "07-deploy: deploy a Ready machine without allocation": _DESCRIBED,
    "07-deploy: release it": [until(NODE02, Status.DEPLOYED)],
    "07-deploy: allocate": [until(NODE02, Status.READY)],
    "07-deploy: deploy with a bad distro_series": [
        until(NODE02, Status.DEPLOYED),
        *released(NODE02),
        acquires(NODE02),
    ],
    "07-deploy: deploy an already Deploying machine": [acts("deploy", NODE02, comment="go")],
    "07-deploy: release with a Deploying machine is legal; lock while Deploying": [
        until_says(NODE02, "Loading ephemeral")
    ],
    "07-deploy: abort a Deploying machine": [acts("unlock", NODE02)],
    "07-deploy: read after abort": [wait(5)],
    "07-deploy: read after Deployed": [until(NODE02, Status.DEPLOYED)],
    "08-failed-deploy: read after failure": _NODE06_FAILED,
    "08-failed-deploy: read after time-out": _NODE06_TIMED_OUT,
    "09-power: power_on Allocated": [*_DESCRIBED, *deployed(NODE02)],
    "09-power: power_off, BMC fails": [acts("power_on", NODE02), bmc(NODE02, fails=True)],
    "09-power: power_off, rack down": [bmc(NODE02, fails=False), rack(down=True)],
    "09-power: deploy, BMC fails": [rack(down=False), bmc(NODE09, fails=True)],
    "09-power: commission, BMC fails": [until(NODE09, Status.FAILED_DEPLOYMENT), *released(NODE09)],
    "10-lock: lock a Ready machine": [
        *_DESCRIBED,
        *deployed(NODE02),
        acts("power_off", NODE02),
        acts("power_on", NODE02),
        until_says(NODE02, "Performing PXE boot"),
        rack(down=True),
        queries_power(NODE02),
        rack(down=False),
    ],
    "11-release: release a New machine": [
        *_DESCRIBED,
        *deployed(NODE02),
        acts("lock", NODE02),
        acts("unlock", NODE02),
    ],
    "11-release: read at once": released(NODE02, comment="done with it"),
    "11-release: events of the erase": [until(NODE01, Status.READY)],
    "12-commission: commission a Ready machine": _NODE03_REVERTED,
    "12-commission: commission (will hang)": [until(NODE03, Status.READY), hangs_next(NODE03, "maas-lshw")],
    "12-commission: read: running": [until_says(NODE03, "Gathering information"), wait(300)],
    "12-commission: read after abort": [wait(5)],
    "12-commission: read after a failed script": [
        fails_next(NODE03, "maas-support-info"),
        *commissioned(NODE03, Status.FAILED_COMMISSIONING),
        wait(10),
    ],
    "12-commission: read after a failed test": [
        fails_next(NODE03, "smartctl-validate"),
        *commissioned(NODE03, Status.FAILED_TESTING),
    ],
    "12-commission: test op with no such script": [until(NODE03, Status.READY)],
    "12b-manual-power-and-no-power: read when commissioned": [until(NODE12, Status.READY)],
    "12b-manual-power-and-no-power: read when deployed": [until(NODE12, Status.DEPLOYED)],
    "12b-manual-power-and-no-power: ... deployed=true": [creates("axyycf", "nopower", "52:54:00:ff:00:0a")],
    "13-results: results, only commissioning, with output": [
        *_NODE03_REVERTED,
        acts("commission", NODE03, skip_bmc_config="1"),
        until(NODE03, Status.READY),
        hangs_next(NODE03, "maas-lshw"),
        acts("commission", NODE03, testing_scripts="none"),
        until_says(NODE03, "Gathering information"),
        wait(300),
        acts("abort", NODE03),
        wait(5),
        fails_next(NODE03, "maas-support-info"),
        *commissioned(NODE03, Status.FAILED_COMMISSIONING),
        *commissioned(NODE03),
    ],
    "13-results: current-installation of a never deployed machine": _NODE09_WITHOUT_POWER,
    "14-rescue-broken-delete: rescue_mode on Ready": [*_NODE09_WITHOUT_POWER, *_NODE09_REVERTED],
    "14-rescue-broken-delete: read in rescue": [until(NODE09, Status.RESCUE_MODE)],
    "14-rescue-broken-delete: exit_rescue_mode on Ready": [until(NODE09, Status.READY)],
    "14-rescue-broken-delete: deploy a Broken machine": [
        acquires(NODE09),
        acts("mark_broken", NODE09, comment="bad DIMM"),
    ],
    "15-collections: boot-resources/": _LATE,
    "15-collections: events next_uri": [calls_event(1143, NODE09, "User marking node fixed")],
    "15-collections: events prev_uri": [calls_event(1134, NODE09, "Exited rescue mode")],
    "16-http: Accept-Encoding: gzip": [
        *_LATE,
        changes(NODE09, zone="az1"),
        *commissioned(NODE12),
        *deployed(NODE12),
        *released(NODE12),
        creates("axyycf", "nopower", "52:54:00:ff:00:0a"),
    ],
    "17-conflicts-and-drops: abort it": [
        changes(NODE09, zone="az1"),
        *commissioned(NODE09),
        acts("deploy", NODE09),
        until_says(NODE09, "Loading ephemeral"),
    ],
    "17-conflicts-and-drops: deploy in the simulator's manual mode": [wait(5), *released(NODE09)],
    "17-conflicts-and-drops: release": [until_says(NODE09, "Loading ephemeral")],
    "17-conflicts-and-drops: read after /advance to=failed_deployment": [
        until(NODE09, Status.READY),
        *fails_to_deploy(NODE09, "Configuring OS", distro_series="jammy"),
    ],
}
