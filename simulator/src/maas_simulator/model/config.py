"""The settings of the region, with their defaults and the values that ``set_config`` accepts."""

from collections.abc import Mapping
from typing import Final

from maas_simulator.model.fields import Reader, address_list, boolean, one_of, text, whole
from maas_simulator.model.forms import DEFAULT_IMAGE, IMAGES

NODE_TIMEOUT: Final = 30
"""Minutes."""

SYNC_INTERVAL: Final = 900
"""Seconds between two reports of the agent of ``enable_hw_sync``."""

_OSYSTEM, _, _SERIES = DEFAULT_IMAGE.partition("/")
_ANY, _PORT, _COUNT = text(), whole(1, 65535), whole(1)
LAYOUTS: Final = ("bcache", "blank", "custom", "flat", "lvm", "vmfs6", "vmfs7")

_SETTINGS: Final[Mapping[str, tuple[Reader, object]]] = {
    "maas_name": (_ANY, "simulator"),
    "theme": (_ANY, ""),
    "kernel_opts": (_ANY, None),
    "enable_http_proxy": (boolean, True),
    "maas_proxy_port": (_PORT, 8000),
    "use_peer_proxy": (boolean, False),
    "prefer_v4_proxy": (boolean, False),
    "http_proxy": (text(pattern=r"(https?://\S+)?", wrong="Enter a valid URL."), None),
    "default_dns_ttl": (_COUNT, 30),
    "upstream_dns": (address_list, None),
    "dnssec_validation": (one_of("dnssec_validation", "auto", "yes", "no"), "auto"),
    "maas_internal_domain": (_ANY, "maas-internal"),
    "dns_trusted_acl": (_ANY, None),
    "ntp_servers": (_ANY, None),
    "ntp_external_only": (boolean, False),
    "allow_only_trusted_transfers": (boolean, False),
    "remote_syslog": (_ANY, None),
    "maas_syslog_port": (_PORT, 5247),
    "network_discovery": (one_of("network_discovery", "enabled", "disabled"), "enabled"),
    "active_discovery_interval": (whole(0), 10800),
    "default_boot_interface_link_type": (one_of("default_boot_interface_link_type", "auto", "dhcp", "link_up"), "auto"),
    "default_osystem": (one_of("default_osystem", *sorted({name.partition("/")[0] for name in IMAGES})), _OSYSTEM),
    "default_distro_series": (one_of("default_distro_series", *(name.partition("/")[2] for name in IMAGES)), _SERIES),
    "default_min_hwe_kernel": (_ANY, ""),
    "enable_kernel_crash_dump": (boolean, False),
    "default_storage_layout": (one_of("default_storage_layout", *LAYOUTS), "flat"),
    "commissioning_distro_series": (one_of("commissioning_distro_series", "jammy", "noble"), "noble"),
    "enable_third_party_drivers": (boolean, True),
    "windows_kms_host": (_ANY, None),
    "enable_disk_erasing_on_release": (boolean, False),
    "disk_erase_with_secure_erase": (boolean, True),
    "disk_erase_with_quick_erase": (boolean, False),
    "boot_images_auto_import": (boolean, True),
    "boot_images_no_proxy": (boolean, False),
    "curtin_verbose": (boolean, True),
    "force_v1_network_yaml": (boolean, False),
    "enable_analytics": (boolean, True),
    "completed_intro": (boolean, True),
    "max_node_commissioning_results": (_COUNT, 10),
    "max_node_testing_results": (_COUNT, 10),
    "max_node_installation_results": (_COUNT, 3),
    "max_node_release_results": (_COUNT, 3),
    "subnet_ip_exhaustion_threshold_count": (_COUNT, 16),
    "release_notifications": (boolean, True),
    "use_rack_proxy": (boolean, True),
    "node_timeout": (_COUNT, NODE_TIMEOUT),
    "prometheus_enabled": (boolean, False),
    "prometheus_push_gateway": (_ANY, None),
    "prometheus_push_interval": (whole(0), 60),
    "promtail_enabled": (boolean, False),
    "promtail_port": (_PORT, 5238),
    "enlist_commissioning": (boolean, True),
    "maas_auto_ipmi_user": (text(20), "maas"),
    "maas_auto_ipmi_user_privilege_level": (
        one_of("maas_auto_ipmi_user_privilege_level", "USER", "OPERATOR", "ADMIN"),
        "ADMIN",
    ),
    "maas_auto_ipmi_k_g_bmc_key": (text(20), ""),
    "maas_auto_ipmi_cipher_suite_id": (one_of("maas_auto_ipmi_cipher_suite_id", "", "3", "8", "12", "17"), "3"),
    "maas_auto_ipmi_workaround_flags": (_ANY, None),
    "vcenter_server": (_ANY, ""),
    "vcenter_username": (_ANY, ""),
    "vcenter_password": (_ANY, ""),
    "vcenter_datacenter": (_ANY, ""),
    "hardware_sync_interval": (_ANY, "15m"),
    "tls_cert_expiration_notification_enabled": (boolean, False),
    "tls_cert_expiration_notification_interval": (whole(1, 90), 30),
    "session_length": (whole(10, 1209600), 1209600),
    "auto_vlan_creation": (boolean, True),
}
"""All settings of MAAS 3.7, in the order in which its error for an unknown setting lists them.

Recorded: the names, and the type and default of about half. The other defaults are MAAS's documented ones.
"""

READERS: Final = {name: read for name, (read, _) in _SETTINGS.items()}
CONFIG: Final[Mapping[str, object]] = {name: default for name, (_, default) in _SETTINGS.items()}
"""The settings of a new region."""
