"""The settings of the region, as ``get_config`` returns them."""

from collections.abc import Mapping
from typing import Final

from maas_simulator.model.forms import DEFAULT_IMAGE

SETTINGS: Final = (
    "maas_name",
    "theme",
    "kernel_opts",
    "enable_http_proxy",
    "maas_proxy_port",
    "use_peer_proxy",
    "prefer_v4_proxy",
    "http_proxy",
    "default_dns_ttl",
    "upstream_dns",
    "dnssec_validation",
    "maas_internal_domain",
    "dns_trusted_acl",
    "ntp_servers",
    "ntp_external_only",
    "allow_only_trusted_transfers",
    "remote_syslog",
    "maas_syslog_port",
    "network_discovery",
    "active_discovery_interval",
    "default_boot_interface_link_type",
    "default_osystem",
    "default_distro_series",
    "default_min_hwe_kernel",
    "enable_kernel_crash_dump",
    "default_storage_layout",
    "commissioning_distro_series",
    "enable_third_party_drivers",
    "windows_kms_host",
    "enable_disk_erasing_on_release",
    "disk_erase_with_secure_erase",
    "disk_erase_with_quick_erase",
    "boot_images_auto_import",
    "boot_images_no_proxy",
    "curtin_verbose",
    "force_v1_network_yaml",
    "enable_analytics",
    "completed_intro",
    "max_node_commissioning_results",
    "max_node_testing_results",
    "max_node_installation_results",
    "max_node_release_results",
    "subnet_ip_exhaustion_threshold_count",
    "release_notifications",
    "use_rack_proxy",
    "node_timeout",
    "prometheus_enabled",
    "prometheus_push_gateway",
    "prometheus_push_interval",
    "promtail_enabled",
    "promtail_port",
    "enlist_commissioning",
    "maas_auto_ipmi_user",
    "maas_auto_ipmi_user_privilege_level",
    "maas_auto_ipmi_k_g_bmc_key",
    "maas_auto_ipmi_cipher_suite_id",
    "maas_auto_ipmi_workaround_flags",
    "vcenter_server",
    "vcenter_username",
    "vcenter_password",
    "vcenter_datacenter",
    "hardware_sync_interval",
    "tls_cert_expiration_notification_enabled",
    "tls_cert_expiration_notification_interval",
    "session_length",
    "auto_vlan_creation",
)
"""All settings of MAAS 3.7, in the order in which its error for an unknown setting lists them."""

NODE_TIMEOUT: Final = 30
"""Minutes."""

SYNC_INTERVAL: Final = 900
"""Seconds between two reports of the agent of ``enable_hw_sync``."""

CONFIG: Mapping[str, object] = {
    "maas_name": "simulator",
    "node_timeout": NODE_TIMEOUT,
    "default_osystem": DEFAULT_IMAGE.partition("/")[0],
    "default_distro_series": DEFAULT_IMAGE.partition("/")[2],
    "commissioning_distro_series": "noble",
    "default_min_hwe_kernel": "",
    "enable_disk_erasing_on_release": False,
    "kernel_opts": None,
    "ntp_servers": None,
    "upstream_dns": None,
}
"""The settings that have a value in the simulator."""
